"""Do all token file formats give back what was saved, and refuse what is not intact?"""

import json
import os
import sys

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, TokenFormatError
from provq_protein.tokens import formats
from provq_protein.tokens.formats import load_tokens, output_format, save_tokens
from provq_protein.tokens.table import COLUMNS

NEEDS_H5PY = pytest.mark.skipif(
    __import__("importlib").util.find_spec("h5py") is None, reason="needs the extra provq[h5]"
)
NEEDS_PYARROW = pytest.mark.skipif(
    __import__("importlib").util.find_spec("pyarrow") is None,
    reason="needs the extra provq[parquet]",
)
FORMATS = [
    "npz",
    pytest.param("h5", marks=NEEDS_H5PY),
    "jsonl",
    pytest.param("parquet", marks=NEEDS_PYARROW),
]
CHECKSUMMED = [format for format in FORMATS if format != "jsonl"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_field_of_odd_chains_survives(format, odd_chains, same, tmp_path) -> None:
    path = tmp_path / f"tokens.{format}"
    save_tokens(path, odd_chains)
    same(load_tokens(path), odd_chains)


@pytest.mark.parametrize("format", FORMATS)
def test_single_chains_survive_alone(format, odd_chains, same, tmp_path) -> None:
    # Alone, an array of text may be all empty, and an array of residues may have no element.
    for number, tokens in enumerate(odd_chains[:6]):
        path = tmp_path / f"{number}.{format}"
        save_tokens(path, [tokens])
        same(load_tokens(path), [tokens])


@pytest.mark.parametrize("format", FORMATS)
def test_no_chains_survive(format, tmp_path) -> None:
    path = tmp_path / f"none.{format}"
    save_tokens(path, [])
    assert load_tokens(path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_the_content_tells_the_format_when_the_name_lies(
    format, make_chain, same, tmp_path
) -> None:
    path = tmp_path / "tokens.dat"
    save_tokens(path, [make_chain()], format=format)
    assert list(tmp_path.iterdir()) == [path]
    same(load_tokens(str(path)), [make_chain()])


@pytest.mark.parametrize("format", ["npz", "jsonl", pytest.param("parquet", marks=NEEDS_PYARROW)])
def test_saving_twice_gives_the_same_bytes(format, odd_chains, tmp_path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        save_tokens(path, odd_chains, format=format)
    assert first.read_bytes() == second.read_bytes()


def test_json_lines_have_the_promised_keys(make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.jsonl"
    save_tokens(path, [make_chain(), make_chain(chain_id="β")])
    first, second = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert first["file"] == "1abc.cif"
    assert first["chain_id"] == "A"
    assert first["ids"] == [7, -1, 4095]
    assert first["sequence"] == "MXG"
    assert first["residue_ids"] == ["-1", "52", "52A"]
    assert first["resolved"] == [True, False, True]
    assert second["chain_id"] == "β"


def test_flat_arrays_can_be_read_with_numpy_alone(make_chain, tmp_path) -> None:
    save_tokens(tmp_path / "tokens.npz", [make_chain(), make_chain(chain_id="C")])
    with np.load(tmp_path / "tokens.npz", allow_pickle=False) as archive:
        assert {*archive.files} == {"format", "format_version", *COLUMNS}
        assert archive["offsets"].tolist() == [0, 3, 6]
        assert archive["ids"].dtype == np.int32
        assert archive["ids"][3:6].tolist() == [7, -1, 4095]
        assert archive["chain_id"].tolist() == ["A", "C"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.npz", "npz"), ("a.jsonl", "jsonl"), ("A.NPZ", "npz"), ("a", "npz"), ("x.y/a", "npz")],
)
def test_the_suffix_decides_the_format(name, expected) -> None:
    assert output_format(name) == expected


@NEEDS_H5PY
@pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
def test_both_hdf5_suffixes_are_known(name) -> None:
    assert output_format(name) == "h5"


def test_an_unknown_suffix_or_format_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(TokenFormatError, match=r"suffix '\.csv'.*npz, h5, jsonl"):
        save_tokens(tmp_path / "a.csv", [])
    with pytest.raises(TokenFormatError, match="format 'csv'"):
        save_tokens(tmp_path / "a.npz", [], format="csv")
    assert list(tmp_path.iterdir()) == []


def test_hdf5_without_h5py_names_the_extra(make_chain, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"provq\[h5\]"):
        save_tokens(tmp_path / "a.h5", [make_chain()])
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(MissingExtraError, match=r"provq\[h5\]"):
        load_tokens(tmp_path / "b.h5")


def test_parquet_without_pyarrow_names_the_extra(make_chain, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"provq\[parquet\]"):
        save_tokens(tmp_path / "a.parquet", [make_chain()])
    (tmp_path / "b.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(MissingExtraError, match=r"provq\[parquet\]"):
        load_tokens(tmp_path / "b.parquet")


@pytest.mark.parametrize("format", ["npz", pytest.param("h5", marks=NEEDS_H5PY), "jsonl"])
def test_chains_without_plddt_are_stored_as_before_there_was_one(
    format, make_chain, tmp_path
) -> None:
    without, with_it = make_chain(), make_chain(mean_plddt=93.5)
    for name, chain in (("without", without), ("with", with_it)):
        save_tokens(tmp_path / f"{name}.{format}", [chain])
    assert load_tokens(tmp_path / f"with.{format}")[0].mean_plddt == 93.5
    assert load_tokens(tmp_path / f"without.{format}")[0].mean_plddt is None
    if format != "h5":  # its groups have names in a compressed block
        stored = (tmp_path / f"without.{format}").read_bytes()
        assert b"mean_plddt" not in stored


@pytest.mark.parametrize("format", FORMATS)
def test_an_existing_file_is_kept_unless_asked(format, make_chain, same, tmp_path) -> None:
    path = tmp_path / f"tokens.{format}"
    path.write_text("precious")
    with pytest.raises(TokenFormatError, match=f"{path}: exists; .*overwrite"):
        save_tokens(path, [make_chain()])
    assert path.read_text() == "precious"
    save_tokens(path, [make_chain()], overwrite=True)
    same(load_tokens(path), [make_chain()])


def test_a_failed_write_leaves_the_old_file_and_no_other(make_chain, tmp_path, monkeypatch) -> None:
    path = tmp_path / "tokens.npz"
    path.write_text("precious")

    def full_disk(target, tokens):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(formats._WRITERS, "npz", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_tokens(path, [make_chain()], overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokens.npz"]
    assert path.read_text() == "precious"


def test_a_new_file_has_ordinary_permissions(make_chain, tmp_path) -> None:
    (tmp_path / "ordinary").touch()
    save_tokens(tmp_path / "tokens.npz", [make_chain()])
    assert (tmp_path / "tokens.npz").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(TokenFormatError, match="is a folder"):
        save_tokens(tmp_path, [], format="npz", overwrite=True)
    with pytest.raises(TokenFormatError, match=r"folder .*absent does not exist"):
        save_tokens(tmp_path / "absent" / "a.npz", [])
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    with pytest.raises(TokenFormatError, match="is not a regular file"):
        save_tokens(pipe, [], overwrite=True)
    # Permissions do not bind an administrator, who may be the one to run this.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(TokenFormatError, match="not writable"):
        save_tokens(tmp_path / "a.npz", [])


def test_what_is_no_token_file_is_refused(tmp_path) -> None:
    other = {
        "empty.npz": b"",
        "empty": b"",
        "text.txt": b"hello",
        "text.jsonl": b"hello\n",
        "list.jsonl": b"[1, 2]\n",
        "other.jsonl": b'{"ids": [1]}\n',
        "binary.jsonl": b"\xff\xfe{}\n",
    }
    for name, content in other.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "other.npz", ids=np.arange(3))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(TokenFormatError, match=path.name):
            load_tokens(path)
    with pytest.raises(TokenFormatError, match=r"absent\.npz: cannot be read: No such file"):
        load_tokens(tmp_path / "absent.npz")
    with pytest.raises(TokenFormatError, match="is a directory"):
        load_tokens(tmp_path)


def test_pickled_objects_are_never_loaded(make_chain, tmp_path) -> None:
    path = tmp_path / "evil.npz"
    save_tokens(path, [make_chain()])
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["chain_id"] = np.array(["A"], dtype=object)
    np.savez(path, **arrays)
    with pytest.raises(TokenFormatError, match=r"evil\.npz.*allow_pickle=False"):
        load_tokens(path)


def rewrite_npz(path, **changes) -> None:
    with np.load(path) as archive:
        arrays = dict(archive) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": np.array(3)}, "version 3 is unknown.*versions 1 and 2"),
        ({"format": np.array("other")}, "format is 'other', expected 'provq-tokens'"),
        ({"ids": None}, "it lacks ids"),
        ({"ids": np.zeros(6)}, "ids must be one-dimensional"),
        ({"ids": np.zeros((2, 3), np.int32)}, "ids must be one-dimensional"),
        ({"ids": np.arange(5, dtype=np.int32)}, "ids must have length 6, got 5"),
        ({"ids": np.full(6, 9999, np.int32)}, "residue -1 is resolved"),
        ({"offsets": np.array([1, 3, 6])}, "offsets must start at 0"),
        ({"offsets": np.array([0, 7, 6])}, "offsets must start at 0 and never decrease"),
        ({"chain_id": np.array(["A"])}, "chain_id must have length 2, got 1"),
        ({"resolved": np.ones(6, np.int8)}, "resolved must be one-dimensional"),
    ],
)
def test_an_inconsistent_archive_is_refused(changes, message, make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.npz"
    save_tokens(path, [make_chain(), make_chain()])
    rewrite_npz(path, **changes)
    with pytest.raises(TokenFormatError, match=rf"tokens\.npz: .*{message}"):
        load_tokens(path)


@NEEDS_H5PY
def test_an_hdf5_file_of_another_kind_or_version_is_refused(make_chain, tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "tokens.h5"
    save_tokens(path, [make_chain()])
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(TokenFormatError, match="version 3 is unknown"):
        load_tokens(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 1
        del file["ids"]
    with pytest.raises(TokenFormatError, match="it lacks ids"):
        load_tokens(path)
    with h5py.File(path, "w") as file:
        file["ids"] = [1]
    with pytest.raises(TokenFormatError, match="does not name its format"):
        load_tokens(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "version 3 is unknown"),
        ({"format": "other"}, "format is 'other'"),
        ({"fingerprint": None}, "fingerprint must be text"),
        ({"ids": "abc"}, "ids must be a list, got str"),
        ({"ids": [7, -1, 4095.0]}, "ids must be a list of int"),
        ({"ids": [7, -1, True]}, "ids must be a list of int"),
        ({"ids": [7, -1, 10**30]}, "ids must fit into 32 bits"),
        ({"resolved": [1, 0, 1]}, "resolved must be a list of bool"),
        ({"residue_ids": ["1", "52", "52A"]}, "residue_ids contradict"),
    ],
)
def test_an_inconsistent_line_is_refused(changes, message, make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.jsonl"
    save_tokens(path, [make_chain()])
    record = json.loads(path.read_text())
    path.write_text(path.read_text() + json.dumps(record | changes) + "\n")
    with pytest.raises(TokenFormatError, match=rf"tokens\.jsonl: line 2: .*{message}"):
        load_tokens(path)
    del record["label_numbers"]
    path.write_text(json.dumps(record))
    with pytest.raises(TokenFormatError, match=r"line 1: .*lacks label_numbers"):
        load_tokens(path)


@pytest.mark.parametrize("format", FORMATS)
def test_truncation_is_noticed_wherever_it_happens(format, odd_chains, tmp_path) -> None:
    path = tmp_path / f"tokens.{format}"
    save_tokens(path, odd_chains)
    whole = path.read_bytes()
    cuts = np.linspace(1, len(whole) - 2, 25).astype(int)
    for cut in cuts:
        # A JSON lines file that ends with a line is a shorter file, not a truncated one.
        if format == "jsonl" and whole[cut - 1 : cut] == b"\n":
            continue
        path.write_bytes(whole[:cut])
        with pytest.raises(TokenFormatError, match=path.name):
            load_tokens(path)


@pytest.mark.parametrize("format", CHECKSUMMED)
def test_a_flipped_byte_never_changes_a_token_silently(format, odd_chains, same, tmp_path) -> None:
    path = tmp_path / f"tokens.{format}"
    save_tokens(path, odd_chains)
    whole = path.read_bytes()
    noticed = 0
    for position in np.random.default_rng(0).integers(8, len(whole), 25):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            same(load_tokens(path), odd_chains)
        except TokenFormatError as error:
            noticed += 1
            assert path.name in str(error)
    assert noticed
