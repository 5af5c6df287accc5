"""Does a folder of codes give back what was written, and refuse what is damaged?"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from provq_protein.errors import ConfigError, TokenFormatError
from provq_vision.codes.code_set import CodeSet
from provq_vision.codes.settings import CodeSettings
from provq_vision.codes.shards import write_codes, write_shard
from provq_vision.images.decoding import ImageProblem
from provq_vision.images.places import Archives


def test_views_of_images_come_back_in_the_order_asked_for(write):
    folder, settings, codes, labels = write()
    found = CodeSet.open(folder)
    indices, views = [9, 0, 4, 4, 3], [0, 9, 1, 1, 5]
    taken = found.take(indices, views)
    assert np.array_equal(taken, codes[indices, views])
    assert taken.dtype == np.int64
    assert found.take([], []).shape == (0, 3, 3)
    assert (len(found), found.views, found.grid, found.vocabulary) == (10, 10, 3, 16)
    assert (found.fingerprint, found.image_size) == ("c0ffee", 12)
    assert found.classes == ("cat", "dog")
    assert np.array_equal(found.labels, labels)
    assert found.names == tuple(f"{i}.png" for i in range(10))
    assert found.problems == ()
    assert found.settings == settings


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "uint16"), (65_537, "int32")])
def test_codes_are_kept_in_as_few_bytes_as_hold_them(vocabulary, dtype, write):
    folder, _, codes, _ = write(vocabulary=vocabulary)
    with tarfile.open(folder / "codes-00002.tar") as archive:
        archive.extract("codes.npy", folder, filter="data")
    stored = np.load(folder / "codes.npy", allow_pickle=False)
    assert stored.dtype == dtype
    assert np.array_equal(stored, codes[8:])
    assert np.array_equal(CodeSet.open(folder).take(range(10), [9] * 10), codes[:, 9])


def test_the_same_codes_are_the_same_bytes_in_any_layout(write, make_settings, tmp_path):
    folder, settings, codes, labels = write()
    names = [f"{i}.png" for i in range(10)]
    write_codes(tmp_path / "other", settings, np.asfortranarray(codes), labels, names)
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_images_that_could_not_be_read_are_left_out_and_listed(write):
    folder, settings, codes, labels = write()
    names = [f"{i}.png" for i in range(10)]
    gone = [ImageProblem(names[4], "is\nempty"), ImageProblem(names[7], "is \udcff")]
    write_shard(
        folder,
        settings,
        1,
        codes=codes[5:7],
        labels=labels[5:7],
        names=names[5:7],
        problems=gone,
    )
    # One of which nothing could be read.
    lost = [ImageProblem(name, "is empty") for name in names[:4]]
    empty = {"codes": np.zeros((0, 10, 3, 3), int), "labels": np.zeros(0, int), "names": ()}
    write_shard(folder, settings, 0, problems=lost, **empty)
    found = CodeSet.open(folder)
    assert found.problems == (*lost, *gone)
    assert found.names == ("5.png", "6.png", "8.png", "9.png")
    assert np.array_equal(found.labels, labels[[5, 6, 8, 9]])
    assert np.array_equal(found.take([3, 0, 2, 1], [0] * 4), codes[[9, 5, 8, 6], 0])


def test_a_folder_of_unreadable_images_is_refused(tmp_path, make_settings):
    settings = make_settings(n_images=1)
    settings.save(tmp_path)
    empty = {"codes": np.zeros((0, 10, 3, 3), int), "labels": np.zeros(0, int), "names": ()}
    write_shard(tmp_path, settings, 0, problems=[ImageProblem("a", "b")], **empty)
    with pytest.raises(TokenFormatError, match="none of the 1 images could be read"):
        CodeSet.open(tmp_path)


def test_only_what_is_asked_for_is_read(write, monkeypatch):
    found = CodeSet.open(write().folder)
    read, sizes = Archives.read, []

    def counted(self, place):
        sizes.append(place.size)
        return read(self, place)

    monkeypatch.setattr(Archives, "read", counted)
    found.take([0, 9], [3, 4])
    assert sizes == [9 * 2, 9 * 2]


def test_threads_share_a_set(write):
    folder, _, codes, _ = write()
    found = CodeSet.open(folder)
    rows = np.random.default_rng(1).integers(0, 10, (200, 2))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda row: found.take(row[:1], row[1:])[0], rows))
    assert np.array_equal(taken, codes[rows[:, 0], rows[:, 1]])


def test_the_hash_is_that_of_the_content(write, make_settings, tmp_path):
    folder, settings, codes, labels = write()
    names = [f"{i}.png" for i in range(10)]
    first = CodeSet.open(folder).content_hash()
    shutil.copytree(folder, tmp_path / "copy")
    assert CodeSet.open(tmp_path / "copy").content_hash() == first
    others = []
    for number, change in enumerate(("codes", "labels", "names", "settings")):
        new_codes, new_labels, new_names, new_settings = codes.copy(), labels.copy(), [*names], None
        if change == "codes":
            new_codes[9, 9, 2, 2] ^= 1
        elif change == "labels":
            new_labels[9] ^= 1
        elif change == "names":
            new_names[9] = "ten.png"
        else:
            new_settings = make_settings(fingerprint="cafe")
        other = tmp_path / str(number)
        write_codes(other, new_settings or settings, new_codes, new_labels, new_names)
        others.append(CodeSet.open(other).content_hash())
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("indices", "views", "message"),
    [
        ([10], [0], "image 10 to 10 of 10"),
        ([-1], [0], "image -1 to -1 of 10"),
        ([0], [10], "view 10 to 10 of 10"),
        ([0], [-1], "view -1 to -1 of 10"),
        ([0, 1], [0], "as many images as views"),
    ],
)
def test_views_that_do_not_exist_are_refused(indices, views, message, write):
    with pytest.raises(ConfigError, match=message):
        CodeSet.open(write().folder).take(indices, views)


def test_missing_files_are_counted(write):
    folder = write().folder
    (folder / "codes-00001.tar").unlink()
    # A file of other codes is none of this folder's.
    (folder / "codes-00003.tar").write_bytes(b"")
    message = r"2 of 3 files of codes are there; .* provq-vision extract-codes .* goes on"
    with pytest.raises(TokenFormatError, match=message):
        CodeSet.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "provq-model"}, "describes no folder of codes"),
        ({"format_version": 2}, "format version 2; this release reads 1"),
        ({"vocabulary": 0}, "vocabulary: expected an integer from 1"),
        ({"vocabulary": True}, "vocabulary: expected an integer from 1"),
        ({"vocabulary": 2**31}, "vocabulary: expected an integer from 1"),
        ({"grid": "3"}, "grid: expected an integer"),
        ({"n_images": 10**18}, "3 of 250000000000000000 files"),
        ({"fingerprint": ""}, "fingerprint: expected text"),
        ({"margins": 1.1}, "margins: expected a list"),
        ({"margins": [0.9]}, "margins: expected numbers of at least 1"),
        ({"margins": [1.1, 1.2]}, r"crops and views are \('ten', 10\)"),
        ({"crops": "center"}, r"crops and views are \('center', 10\)"),
        ({"classes": []}, "classes: expected names"),
        ({"classes": [1]}, "classes: expected names"),
        ({"more": 1}, "missing or unknown: more"),
        ({"grid": None}, "grid: expected an integer"),
    ],
)
def test_settings_that_are_none_are_refused(changes, message, write):
    path = write().folder / "codes.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(TokenFormatError, match=message):
        CodeSet.open(path.parent)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_a_damaged_description_is_refused(text, write):
    path = write().folder / "codes.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(TokenFormatError, match=str(path)):
        CodeSet.open(path.parent)


def test_a_folder_without_a_description_is_none_of_codes(tmp_path):
    with pytest.raises(TokenFormatError, match="expected a folder of codes"):
        CodeSet.open(tmp_path)


def test_settings_come_back_as_they_were_saved(make_settings, tmp_path):
    settings = make_settings(margins=(1.1, 1.05), classes=("a\n", "\udcff", "日"))
    settings.save(tmp_path)
    assert CodeSettings.load(tmp_path) == settings


@pytest.mark.parametrize("keep", [0, 100, 512, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused_and_named(keep, write):
    path = write().folder / "codes-00001.tar"
    content = path.read_bytes()
    end = keep if isinstance(keep, int) else int(keep * len(content.rstrip(b"\0")))
    path.write_bytes(content[:end])
    with pytest.raises(TokenFormatError, match=r"truncated or damaged") as caught:
        CodeSet.open(path.parent)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1


def test_flipped_bytes_are_an_error_of_the_format_or_harmless(write):
    folder, _, codes, labels = write()
    path = folder / "codes-00001.tar"
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content.rstrip(b"\0")), 13):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            found = CodeSet.open(folder)
            taken = found.take([4] * 10, range(10))
        except (TokenFormatError, ConfigError) as error:
            assert str(path) in str(error)
            refused += 1
            continue
        # A code may be turned into another code: `extract-codes` finds that, reading all of it.
        assert np.array_equal(found.labels, labels)
        assert found.names == tuple(f"{i}.png" for i in range(10))
        assert found.problems == ()
        assert ((taken != codes[4]).sum() <= 1).all()
    assert refused > 50


def test_a_name_that_turned_into_another_is_found(write):
    path = write().folder / "codes-00001.tar"
    path.write_bytes(path.read_bytes().replace(b'"5.png"', b'"8.png"'))
    with pytest.raises(TokenFormatError, match=r"names.json is not as it was written"):
        CodeSet.open(path.parent)


def array_bytes(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def rewrite(path, changes):
    """Replace members of a shard, with hashes that fit; None removes one."""
    with tarfile.open(path) as archive:
        content = {name: archive.extractfile(name).read() for name in archive.getnames()}
    head = json.loads(content["shard.json"])
    head["sha256"] |= {
        name: hashlib.sha256(data or b"").hexdigest()
        for name, data in changes.items()
        if name in head["sha256"]
    }
    content |= {"shard.json": json.dumps(head).encode(), **changes}
    with tarfile.open(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names.json": None}, "expected shard.json, codes.npy"),
        ({"more.json": b"[]"}, "expected shard.json, codes.npy"),
        ({"shard.json": b"{"}, "shard.json is not JSON"),
        ({"shard.json": b"[]"}, "shard.json does not say"),
        ({"shard.json": b'{"settings": "", "shard": 1, "sha256": {}}'}, "shard.json does not say"),
        ({"names.json": b"[1, 2, 3, 4]"}, "names.json is no list of names"),
        ({"names.json": b"{}"}, "names.json is no list of names"),
        ({"names.json": b'["a"]'}, "1 and 0 images are not those of the shard"),
        ({"problems.json": b'[["a", "b", "c"]]'}, "problems.json is no list"),
        ({"problems.json": b"null"}, "problems.json is no list"),
        ({"problems.json": b"[" * 100_000}, "problems.json is not JSON"),
        ({"problems.json": b'[["a", "b"]]'}, "4 and 1 images are not those of the shard"),
        ({"labels.npy": array_bytes(np.zeros(4, np.int32))}, "labels.npy is no array of int64"),
        ({"labels.npy": array_bytes(np.zeros(3, np.int64))}, "labels.npy is no array of int64"),
        ({"labels.npy": array_bytes(np.full(4, 2))}, "labels from 2 to 2 of 2 classes"),
        ({"labels.npy": array_bytes(np.full(4, -1))}, "labels from -1 to -1 of 2 classes"),
        ({"labels.npy": b"none"}, "labels.npy is no array;"),
        ({"codes.npy": array_bytes(np.zeros((4, 10, 3, 3), ">u2"))}, "codes.npy is no array of"),
        ({"codes.npy": array_bytes(np.zeros((4, 3, 3, 10), "<u2"))}, "codes.npy is no array of"),
        ({"codes.npy": array_bytes(np.zeros((4, 10, 3, 3), "<u2"))[:-2]}, "or cut short"),
    ],
)
def test_a_file_with_other_content_is_refused(changes, message, write):
    path = write().folder / "codes-00001.tar"
    rewrite(path, changes)
    with pytest.raises(TokenFormatError, match=message) as caught:
        CodeSet.open(path.parent)
    assert str(caught.value).startswith(f"{path}: truncated or damaged: ")


def test_a_code_that_the_tokenizer_does_not_have_is_refused(write):
    folder, _, _, _ = write()
    path = folder / "codes-00001.tar"
    with tarfile.open(path) as archive:
        end = archive.getmember("codes.npy").offset_data + archive.getmember("codes.npy").size
    with path.open("rb+") as file:
        file.seek(end - 2)
        file.write((16).to_bytes(2, "little"))
    found = CodeSet.open(folder)
    found.take([7], [8])
    with pytest.raises(TokenFormatError, match=r"codes-00001.tar: .* to 16; there are 16"):
        found.take([7], [9])


def test_a_file_that_is_cut_short_while_it_is_open_is_an_error(write):
    folder = write().folder
    found = CodeSet.open(folder)
    path = folder / "codes-00002.tar"
    os.truncate(path, 2000)
    with pytest.raises(TokenFormatError, match=f"{path}: was cut short after it was opened"):
        found.take([9], [9])
    found = CodeSet.open(write("second").folder)
    (folder.parent / "second" / path.name).unlink()
    with pytest.raises(TokenFormatError, match=r"codes-00002.tar: cannot be read: No such file"):
        found.take([9], [9])


def test_a_file_of_another_place_or_folder_is_refused(write):
    folder = write().folder
    other = write("other", fingerprint="cafe").folder
    shutil.copy(folder / "codes-00000.tar", folder / "codes-00001.tar")
    with pytest.raises(ConfigError, match=r"is shard 0 of the codes .* expected shard 1"):
        CodeSet.open(folder)
    shutil.copy(other / "codes-00001.tar", folder / "codes-00001.tar")
    with pytest.raises(ConfigError, match=r"is shard 1 of the codes .* expected shard 1"):
        CodeSet.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": np.full((4, 10, 3, 3), 16)}, "codes from 16 to 16; there are 16"),
        ({"codes": np.full((4, 10, 3, 3), -1)}, "codes from -1 to -1"),
        ({"codes": np.zeros((4, 9, 3, 3), int)}, "codes: expected"),
        ({"labels": [0, 0, 0, 2]}, "labels from 0 to 2; there are 2"),
        ({"labels": [0, 0, 0]}, "labels: expected"),
        ({"problems": [ImageProblem("e", "bad")]}, "images: expected 4, got 5"),
    ],
)
def test_what_the_settings_do_not_promise_is_not_written(changes, message, make_settings, tmp_path):
    content = {"codes": np.zeros((4, 10, 3, 3), int), "labels": [0] * 4, "names": "abcd"}
    with pytest.raises(ConfigError, match=message):
        write_shard(tmp_path, make_settings(), 1, **(content | changes))
    assert list(tmp_path.iterdir()) == []
