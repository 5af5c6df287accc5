"""Protocols: what is held out, that it stays held out, and that files are those meant."""

import json

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.listing import open_images
from provq_vision.images.protocols import SplitProtocol, hold_out


@pytest.fixture
def train(tmp_path, write_folder):
    """Return three classes of eight images."""
    return open_images(write_folder(tmp_path / "train", files("abc", 8)))


@pytest.fixture
def val(tmp_path, write_folder):
    """Return three classes of two images."""
    return open_images(write_folder(tmp_path / "val", files("abc", 2, b"v")))


def files(classes, count, what=b"t"):
    return {
        f"{name}/{i}.png": what + f"{name}{i}".encode() for name in classes for i in range(count)
    }


def test_every_class_gives_as_many_and_no_image_is_in_both(train):
    kept, held = hold_out(train, per_class=3, seed=0)
    assert np.bincount(held.labels).tolist() == [3, 3, 3]
    assert np.bincount(kept.labels).tolist() == [5, 5, 5]
    assert sorted((*kept.names, *held.names)) == list(train.names)
    assert kept.classes == held.classes == train.classes


def test_the_seed_decides_and_classes_differ(train):
    one, again, other = (hold_out(train, per_class=4, seed=s)[1].names for s in (1, 1, 2))
    assert one == again
    assert one != other
    numbers = [{name[2:] for name in one if name.startswith(c)} for c in "abc"]
    assert numbers[0] != numbers[1] or numbers[1] != numbers[2]


def test_a_draw_does_not_depend_on_the_other_classes(train):
    part = train.of_classes(["b", "c"])
    every = hold_out(train, per_class=3, seed=7)[1].names
    assert hold_out(part, per_class=3, seed=7)[1].names == tuple(n for n in every if n[0] != "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_class": 8, "seed": 0}, "class a has 8 images; more than 8 needed"),
        ({"per_class": 0, "seed": 0}, "expected per_class >= 1 and seed >= 0, got 0 and 0"),
        ({"per_class": 1, "seed": -1}, "got 1 and -1"),
    ],
)
def test_what_cannot_be_held_out_is_refused(train, options, message):
    with pytest.raises(ConfigError, match=message):
        hold_out(train, **options)


def test_images_without_a_class_are_refused(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, {**files("ab", 3), "x.png": b""}))
    with pytest.raises(ConfigError, match=r"1 of 7 images have no class: \['x.png'\]"):
        hold_out(images, per_class=1, seed=0)


def test_a_saved_protocol_comes_back_and_finds_its_images(train, val, tmp_path):
    made = SplitProtocol.make(train, val, per_class=2, seed=3)
    made.save(tmp_path / "split.json")
    loaded = SplitProtocol.load(tmp_path / "split.json")
    assert loaded == made
    assert loaded.content_hash() == made.content_hash()
    kept, held = hold_out(train, per_class=2, seed=3)
    assert loaded.find(train, "train", check_bytes=True).names == kept.names
    assert loaded.find(train, "test", check_bytes=True).names == held.names
    assert loaded.find(val, "validation", check_bytes=True).names == val.names


def test_the_file_is_json_with_one_image_a_line(train, val, tmp_path):
    SplitProtocol.make(train, val, per_class=2, seed=3).save(tmp_path / "split.json")
    text = (tmp_path / "split.json").read_text()
    document = json.loads(text)
    assert (document["seed"], document["per_class"], document["classes"]) == (3, 2, ["a", "b", "c"])
    assert [len(document[part]) for part in ("train", "test", "validation")] == [18, 6, 6]
    assert sum(".png" in line for line in text.splitlines()) == 30
    assert all(line.count(".png") < 2 for line in text.splitlines())


def test_the_hash_of_a_protocol_changes_with_one_byte_of_one_image(train, tmp_path):
    before = SplitProtocol.make(train, per_class=2).content_hash()
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"TA0")
    assert SplitProtocol.make(train, per_class=2).content_hash() != before


def test_a_strange_name_survives(tmp_path, write_folder):
    names = ['a/"], [".png', "a/ü\n.png", "a/2.png"]
    images = open_images(write_folder(tmp_path / "set", {name: name.encode() for name in names}))
    made = SplitProtocol.make(images, per_class=1)
    made.save(tmp_path / "split.json")
    assert SplitProtocol.load(tmp_path / "split.json") == made


def test_missing_and_changed_images_are_named(train, tmp_path):
    protocol = SplitProtocol.make(train, per_class=2)
    name = protocol.test[0].name
    (tmp_path / "train" / name).write_bytes(b"other")
    protocol.find(train, "test")
    with pytest.raises(ImageError, match=rf"test: 1 images have other bytes: \['{name}'\]"):
        protocol.find(train, "test", check_bytes=True)
    (tmp_path / "train" / name).unlink()
    with pytest.raises(ConfigError, match=rf"test: 1 of 6 images are missing: \['{name}'\]"):
        protocol.find(open_images(tmp_path / "train"), "test")


def test_an_unknown_part_is_refused(train):
    with pytest.raises(ConfigError, match="part: expected one of train, test, validation"):
        SplitProtocol.make(train, per_class=2).find(train, "val")


def test_copies_of_training_images_are_told(tmp_path, write_folder):
    content = {"a/0.png": b"0", "a/1.png": b"1", "a/2.png": b"0", "a/3.png": b"3"}
    images = open_images(write_folder(tmp_path, content))
    found = set()
    for seed in range(8):
        protocol = SplitProtocol.make(images, per_class=1, seed=seed)
        found |= set(protocol.repeated())
        assert len(protocol.repeated()) == (protocol.test[0].name in ("a/0.png", "a/2.png"))
    assert found <= {("a/0.png", "a/2.png"), ("a/2.png", "a/0.png")}
    assert found


def test_other_classes_in_validation_are_refused(train, tmp_path, write_folder):
    val = open_images(write_folder(tmp_path / "other", files("abd", 1)))
    with pytest.raises(ConfigError, match=r"classes of validation and training differ: \['c', 'd'"):
        SplitProtocol.make(train, val, per_class=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("seed"), r"missing or unknown: \['seed'\]"),
        (lambda d: d.update(extra=1), r"missing or unknown: \['extra'\]"),
        (lambda d: d.update(format="x"), "is no split protocol"),
        (lambda d: d.update(format_version=2), "format version 2; this release reads 1"),
        (lambda d: d.update(seed=True), "seed: expected an integer of 0 or more, got True"),
        (lambda d: d.update(per_class=-1), "per_class: expected an integer"),
        (lambda d: d.update(classes=["b", "a"]), "classes: expected a sorted list"),
        (lambda d: d.update(classes=[1]), "classes: expected a sorted list"),
        (lambda d: d.update(train={}), "train: expected a list of images, got dict"),
        (lambda d: d["test"][0].pop(), r"test: 0: expected \[name, label, sha256\]"),
        (lambda d: d["test"][1].__setitem__(2, "xyz"), r"test: 1: expected \[name"),
        (lambda d: d["test"][1].__setitem__(1, 0.5), r"test: 1: expected \[name"),
        (lambda d: d["test"].reverse(), "test: the images are not sorted by name"),
        (lambda d: d["test"].append(d["test"][-1]), "test: the images are not sorted"),
        (lambda d: d.update(test=d["train"]), "trained and tested on"),
    ],
)
def test_a_protocol_that_was_edited_is_refused(train, tmp_path, change, message):
    path = tmp_path / "split.json"
    SplitProtocol.make(train, per_class=2).save(path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=message):
        SplitProtocol.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), ("{", "is not JSON"), ("[]", "is no split protocol")],
)
def test_a_file_that_is_no_protocol_is_refused(tmp_path, content, message):
    path = tmp_path / "split.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=rf"split\.json: {message}"):
        SplitProtocol.load(path)
