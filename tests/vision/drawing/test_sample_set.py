"""Files of drawn images: what was saved comes back, and nothing else is taken for it."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ImageError
from provq_vision.samples import DrawPlan, SampleSet, SampleSettings


def make(**changes):
    """Return a set of 4 images of 2 x 2 pixels."""
    plan = DrawPlan(**{"classes": [3, 1], "per_class": 2, "seed": 5, **changes})
    number = len(plan.numbers)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (4, 2, 2, 3), dtype=np.uint8)
    settings = SampleSettings(
        gpt="a" * 16,
        tokenizer="b" * 16,
        plan=plan,
        guidance=2.0,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        width=16,
        device="cpu",
        provq="1",
        torch="2",
    )
    return SampleSet(
        images=images[plan.numbers.start :][:number],
        labels=plan.labels(),
        seeds=plan.seeds(),
        ids=np.array(plan.numbers, dtype=np.int32)[:, None, None],
        settings=settings,
    )


@pytest.fixture
def path(tmp_path):
    """Return a saved set."""
    make().save(tmp_path / "samples.npz")
    return tmp_path / "samples.npz"


def rewrite(path, compression=zipfile.ZIP_STORED, **changes):
    """Change arrays of a file; None leaves one out."""
    with np.load(path) as archive:
        arrays = {**{name: archive[name] for name in archive.files}, **changes}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, values in arrays.items():
            if values is not None:
                content = io.BytesIO()
                np.save(content, values)
                archive.writestr(f"{name}.npy", content.getvalue())


def document(path, **changes):
    """Return the settings of a file, changed; None leaves an entry out."""
    with np.load(path) as archive:
        found = {**json.loads(str(archive["settings"])), **changes}
    return np.array(json.dumps({key: item for key, item in found.items() if item is not None}))


def test_a_loaded_set_is_the_saved_one(path):
    ours, theirs = make(), SampleSet.load(path)
    for name in ("images", "labels", "seeds", "ids"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
        assert getattr(theirs, name).dtype == getattr(ours, name).dtype
        with pytest.raises(ValueError, match="read-only"):
            getattr(theirs, name)[0] = 0
    assert ours.settings == theirs.settings
    assert len(theirs) == 4


def test_evaluation_programs_find_the_images_as_they_are(path):
    # As guided-diffusion's evaluator reads them: the bytes behind the header of the first array.
    with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as member:
        assert np.lib.format.read_magic(member) == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        assert (shape, fortran, dtype) == ((4, 2, 2, 3), False, np.uint8)
        assert member.read() == make().images.tobytes()


def test_a_file_appears_whole_or_not_at_all(path, monkeypatch):
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        make().save(path)

    def failing(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", failing)
    with pytest.raises(OSError, match="No space"):
        make().save(path, overwrite=True)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arr_0": np.zeros((4, 2, 2, 3))}, r"images: expected uint8 of shape \(4, any, any, 3\)"),
        ({"arr_0": np.zeros((4, 2, 2), np.uint8)}, r"got uint8 of shape \(4, 2, 2\)"),
        ({"arr_0": np.zeros((3, 2, 2, 3), np.uint8)}, "images: expected"),
        ({"arr_0": np.zeros((4, 0, 2, 3), np.uint8)}, "images: expected"),
        ({"labels": np.array([3, 3, 1, 1], np.int32)}, "labels: expected int64"),
        ({"labels": np.array([3, 1, 3, 1])}, "labels are not those of the plan"),
        ({"seeds": np.arange(4)}, "seeds are not those of the plan"),
        ({"ids": np.full((4, 1, 1), -1, np.int32)}, "ids must be 0 or more, got -1"),
        ({"ids": np.zeros((4, 1), np.int32)}, "ids: expected int32"),
        ({"ids": None}, r"has the arrays \['arr_0', 'labels', 'seeds', 'settings'\]"),
        ({"more": np.zeros(1)}, "is no file of drawn images: it has the arrays"),
        ({"settings": np.array("{")}, "settings: are not JSON"),
        ({"settings": np.array("[]")}, "settings: expected a JSON object, got list"),
        ({"settings": np.array("{}")}, r"expected provq-image-samples of version 1, got \(None"),
    ],
)
def test_what_is_no_such_set_is_refused(path, changes, message):
    rewrite(path, **changes)
    with pytest.raises(ImageError, match=message) as caught:
        SampleSet.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, r"version 1, got \('provq-image-samples', 2\)"),
        ({"guidance": None}, "settings: guidance: missing"),
        ({"guidance": "2"}, "settings: guidance: expected float"),
        ({"guidanec": 2.0}, "did you mean 'guidance'"),
        ({"plan": {"classes": [3, 1], "count": 0}}, "settings: plan: count: must be"),
        ({"plan": {"classes": 3, "count": 4}}, "settings: plan: classes: expected"),
        ({"plan": {"classes": [3, 1], "count": 4, "seed": 4}}, "seeds are not those"),
        ({"plan": {"classes": [3, 2], "count": 4, "seed": 5}}, "labels have a class that is not"),
        ({"width": 0}, "settings: width: must be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(path, changes, message):
    rewrite(path, settings=document(path, **changes))
    with pytest.raises(ImageError, match=message):
        SampleSet.load(path)


def test_drawn_classes_are_kept_as_they_were_drawn(path):
    # Another release of NumPy may draw others.
    plan = {"classes": [3, 1], "count": 4, "seed": 5}
    rewrite(path, settings=document(path, plan=plan), labels=np.array([1, 1, 1, 1]))
    assert SampleSet.load(path).labels.tolist() == [1, 1, 1, 1]


def test_damaged_and_foreign_files_are_named(path, tmp_path):
    content = path.read_bytes()
    for number, wrong in enumerate((b"", b"text", content[: len(content) // 2], content[:-30])):
        (tmp_path / f"{number}").write_bytes(wrong)
        with pytest.raises(ImageError, match=f"{number}: is damaged, or is no file of drawn"):
            SampleSet.load(tmp_path / f"{number}")
    flipped = bytearray(content)
    flipped[200] ^= 1  # a pixel
    path.write_bytes(bytes(flipped))
    with pytest.raises(ImageError, match="is damaged"):
        SampleSet.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ImageError, match="is damaged, or is no file"):
        SampleSet.load(tmp_path / "array.npy")
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(ImageError, match="cannot be read"):
            SampleSet.load(absent)


def test_objects_are_never_unpickled(path):
    rewrite(path, labels=np.array([3, "x", None, 1], dtype=object))
    with pytest.raises(ImageError, match="allow_pickle=False"):
        SampleSet.load(path)


def test_a_small_file_cannot_fill_the_memory(path):
    huge = np.zeros((4, 200, 200, 3), np.uint8)
    rewrite(path, zipfile.ZIP_DEFLATED, arr_0=huge)
    with pytest.raises(ImageError, match="its arrays are larger than the file"):
        SampleSet.load(path)


def test_only_all_parts_of_one_set_are_joined():
    parts = [make(shard=shard, shards=3) for shard in range(3)]
    joined = SampleSet.join([parts[2], parts[0], parts[1]])
    assert np.array_equal(joined.images, make().images)
    assert joined.settings == make().settings
    for wrong, found in (
        (parts[:2], r"\[0, 1\]"),
        ([*parts, parts[0]], r"\[0, 0, 1, 2\]"),
        (parts[2:], r"\[2\]"),
    ):
        with pytest.raises(ImageError, match=f"each of 3 parts once, got the parts {found}"):
            SampleSet.join(wrong)
    with pytest.raises(ImageError, match="no parts to join"):
        SampleSet.join([])
    for other, message in (
        (make(shard=1, shards=2), "shards is 3 and 2"),
        (make(shard=1, shards=3, seed=6), "seed is 5 and 6"),
        (
            dataclasses.replace(
                parts[1], settings=dataclasses.replace(parts[1].settings, guidance=1.5)
            ),
            r"guidance is 2\.0 and 1\.5",
        ),
    ):
        with pytest.raises(ImageError, match=f"parts of different sets: {message}"):
            SampleSet.join([parts[0], other, parts[2]])
