"""Are image tokens kept as they are, and is everything else refused with a reason?"""

import io
import zipfile

import numpy as np
import pytest

from provq_protein.errors import ConfigError, TokenFormatError
from provq_vision import tokens as module
from provq_vision.tokens import ImageTokens

FIELDS = {
    "ids": np.arange(12).reshape(2, 2, 3),
    "names": ("cat/1.png", "Käfer \udcff.png"),
    "labels": np.array([1, -1]),
    "classes": ("ant", "cat"),
    "fingerprint": "c0ffee",
    "codebook_size": 12,
}


def make(**changes) -> ImageTokens:
    return ImageTokens(**{**FIELDS, **changes})


def assert_equal(one: ImageTokens, other: ImageTokens) -> None:
    for name in ("ids", "labels"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in ("names", "classes", "fingerprint", "codebook_size"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize(
    "tokens",
    [
        make(),
        make(ids=np.arange(24).reshape(2, 2, 3, 2) % 12),
        make(classes=(), labels=[7, -1]),
        make(ids=np.zeros((0, 4, 4), int), names=(), labels=[], classes=()),
    ],
    ids=["plain", "levels", "numbered", "none"],
)
def test_what_is_loaded_is_what_was_saved(tokens, tmp_path):
    tokens.save(tmp_path / "tokens.npz")
    assert_equal(ImageTokens.load(tmp_path / "tokens.npz"), tokens)


def test_numpy_alone_reads_the_file(tmp_path):
    make().save(tmp_path / "tokens.npz")
    with np.load(tmp_path / "tokens.npz", allow_pickle=False) as archive:
        assert archive["ids"].dtype == np.int32
        assert archive["names"].tolist() == list(FIELDS["names"])


def test_without_labels_no_image_has_a_class():
    assert make(labels=None).labels.tolist() == [-1, -1]
    assert make(labels=None).labels.dtype == np.int64


def test_arrays_are_copies_and_read_only():
    ids = FIELDS["ids"].astype(np.int32)
    tokens = make(ids=ids)
    ids[:] = 0
    assert tokens.ids.max() == 11
    with pytest.raises(ValueError, match="read-only"):
        tokens.ids[0, 0, 0] = 1


def test_a_selection_keeps_names_labels_and_classes_together():
    chosen = make().select([1, 0, 1])
    assert chosen.names == (FIELDS["names"][1], FIELDS["names"][0], FIELDS["names"][1])
    assert chosen.labels.tolist() == [-1, 1, -1]
    assert chosen.ids[:, 0, 0].tolist() == [6, 0, 6]
    assert chosen.classes == ("ant", "cat")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": FIELDS["ids"] - 1}, r"the id -1 of image 'cat/1.png' is no code"),
        ({"codebook_size": 11}, r"the id 11 of image .* is no code of a codebook of 11"),
        ({"ids": FIELDS["ids"].astype(float)}, "ids must be integers, got float64"),
        ({"ids": np.arange(12)}, r"ids must have shape \(image, row, column"),
        ({"ids": np.zeros((2, 0, 3), int)}, r"got \(2, 0, 3\)"),
        ({"ids": [[[1, 2]], [[3]]]}, "must be an array of integers"),
        ({"names": ("a",), "labels": [1]}, "ids of 2 images, but 1 names"),
        ({"names": "ab"}, "got one text"),
        ({"names": ("a", 3)}, "names must be text, got int"),
        ({"names": ("a", "b\0")}, "names contains a NUL"),
        ({"labels": [1]}, r"labels must have shape \(2,\)"),
        ({"labels": [0, 2]}, r"the label 2 of image .* none of 2 classes"),
        ({"labels": [0, -2]}, "the label -2"),
        ({"labels": [0.0, 1.0]}, "labels must be integers"),
        ({"fingerprint": ""}, "fingerprint is empty"),
        ({"fingerprint": None}, "fingerprint must be text"),
        ({"codebook_size": 0}, "at least 1, got 0"),
        ({"codebook_size": True}, "at least 1, got True"),
    ],
)
def test_what_are_no_tokens_of_images_is_refused(changes, message):
    with pytest.raises(TokenFormatError, match=message):
        make(**changes)


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "tokens.npz"
    make().save(path)
    other = make(fingerprint="other")
    with pytest.raises(ConfigError, match="exists"):
        other.save(path)
    assert ImageTokens.load(path).fingerprint == "c0ffee"
    other.save(path, overwrite=True)
    assert ImageTokens.load(path).fingerprint == "other"
    assert [each.name for each in tmp_path.iterdir()] == ["tokens.npz"]


@pytest.mark.parametrize(
    ("where", "message"), [("", "is a folder"), ("absent/tokens.npz", "create it first")]
)
def test_a_place_that_cannot_be_written_is_refused(where, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        make().save(tmp_path / where)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "tokens.npz"
    make().save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        make(fingerprint="other").save(path, overwrite=True)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["tokens.npz"]


def stored(tmp_path, **changes):
    """Write a token file with some arrays replaced, or left out where they are None."""
    make().save(tmp_path / "tokens.npz", overwrite=True)
    with np.load(tmp_path / "tokens.npz") as archive:
        arrays = {**{name: archive[name] for name in archive.files}, **changes}
    arrays = {name: value for name, value in arrays.items() if value is not None}
    np.savez(tmp_path / "tokens.npz", **arrays)
    return tmp_path / "tokens.npz"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "no file of image tokens"),
        ({"format": np.array("provq-tokens")}, "protein tokens: provq-protein decode"),
        ({"format_version": np.array(2)}, "version 2 is unknown to this release"),
        ({"format_version": None}, "version None is unknown"),
        ({"ids": None}, "ids missing"),
        ({"labels": None, "names": None}, "names, labels missing"),
        ({"ids": np.zeros((2, 2, 3))}, "ids is of the wrong type"),
        ({"ids": np.full((2, 2, 3), 99)}, "the id 99 of image 'cat/1.png' is no code"),
        ({"names": np.array([b"a", b"b"])}, "names is of the wrong type"),
        ({"names": np.array([["a", "b"]])}, r"names has shape \(1, 2\)"),
        ({"fingerprint": np.array(["a"])}, r"fingerprint has shape \(1,\)"),
        ({"codebook_size": np.array([12])}, r"codebook_size has shape \(1,\)"),
        ({"labels": np.array(["1", "0"])}, "labels is of the wrong type"),
        ({"names": np.full(2, 0x110000, np.uint32).view("<U1")}, "characters that are none"),
    ],
)
def test_a_file_with_other_content_is_refused(changes, message, tmp_path):
    path = stored(tmp_path, **changes)
    with pytest.raises(TokenFormatError, match=message) as caught:
        ImageTokens.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1


def test_no_pickle_is_loaded(tmp_path):
    path = tmp_path / "tokens.npz"
    np.savez(path, format=np.array("provq-image-tokens"), format_version=np.array({"a": 1}))
    with pytest.raises(TokenFormatError, match="damaged"):
        ImageTokens.load(path)


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9])
def test_a_truncated_file_is_refused(keep, tmp_path):
    path = tmp_path / "tokens.npz"
    make().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(TokenFormatError, match=r"truncated|empty"):
        ImageTokens.load(path)


def test_flipped_bytes_are_an_error_of_the_format_or_harmless(tmp_path):
    path = tmp_path / "tokens.npz"
    make().save(path)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            assert_equal(ImageTokens.load(path), make())
        except TokenFormatError:
            refused += 1
    assert refused > 50


def test_a_small_file_cannot_fill_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "tokens.npz"
    make().save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(100_000))
        archive.writestr("zeros.npy", member.getvalue())
    monkeypatch.setattr(module, "MAX_BYTES", 500_000)
    with pytest.raises(TokenFormatError, match="more than the limit of 500,000"):
        ImageTokens.load(path)


@pytest.mark.parametrize(("name", "message"), [("absent", "cannot be read"), (".", "is a folder")])
def test_what_is_no_file_is_named(name, message, tmp_path):
    with pytest.raises(TokenFormatError, match=message):
        ImageTokens.load(tmp_path / name)
