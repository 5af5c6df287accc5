"""Does what the fuzzer once found stay repaired?"""

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pytest

from provq_protein.batch.manifest import ManifestRow, manifest_bytes, read_manifest
from provq_protein.errors import CheckpointError, ConfigError, StructureError, TokenFormatError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs.config import read_toml
from provq_protein.sources import members
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.tokens.formats import load_tokens, save_tokens
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.training.config import load_recipe

# ----------------------------------------------------------------------------------- token files


@pytest.fixture
def tokens() -> TokenSequence:
    """Return one short chain."""
    return TokenSequence(
        ids=[0, 1],
        resolved=[True, True],
        sequence="GA",
        residue_names=("GLY", "ALA"),
        author_numbers=[1, 2],
        insertion_codes=("", ""),
        label_numbers=[1, 2],
        chain_id="A",
        label_chain_id="A",
        source="x.cif",
        model=1,
        fingerprint="c0ffee",
        codebook_size=4,
    )


def with_member(path: Path, name: str, content: bytes) -> Path:
    """Replace one member of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    assert name in members
    with zipfile.ZipFile(path, "w") as archive:
        for entry, held in members.items():
            archive.writestr(entry, content if entry == name else held)
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    """Return an array file with a header of one's own."""
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data


@pytest.mark.parametrize("member", ["ids.npy", "format.npy"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(npy("(" * 3000), id="brackets that never close"),
        pytest.param(npy("{'descr': '<i4'"), id="a dict that never closes"),
        pytest.param(b"no array at all", id="other bytes"),
        pytest.param(b"", id="nothing"),
        pytest.param(
            npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff" * 4),
            id="characters that are none",
        ),
        pytest.param(
            npy("{'descr': '>U1', 'fortran_order': False, 'shape': (1,), }", b"\x7f" * 4),
            id="the same in the other byte order",
        ),
        pytest.param(
            npy("{'descr': '<U100000000', 'fortran_order': False, 'shape': (100,), }"),
            id="text of a hundred million characters",
        ),
    ],
)
def test_damaged_arrays_of_an_npz_file(tokens, tmp_path: Path, member: str, content: bytes) -> None:
    path = tmp_path / "x.npz"
    save_tokens(path, [tokens])
    with_member(path, member, content)
    with pytest.raises(TokenFormatError, match=r"x\.npz"):
        load_tokens(path)


def test_names_in_an_npz_archive_stay_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("two\nlines.npy", b"")
    with pytest.raises(TokenFormatError) as caught:
        load_tokens(path)
    assert "\n" not in str(caught.value)


def test_a_name_with_a_line_break_in_a_message(tokens) -> None:
    with pytest.raises(TokenFormatError, match="NUL") as caught:
        dataclasses.replace(tokens, source="set.tar!a\0\nb")
    assert len(str(caught.value).splitlines()) == 1


def test_a_member_of_a_zip_archive_without_a_name(repo_root: Path, tmp_path: Path) -> None:
    content = (repo_root / "data" / "structures" / "1a8o.cif").read_bytes()
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"nothing")
        archive.writestr("1a8o.cif", content)
    # Its length is in the local header and in the directory.
    damaged = path.read_bytes()
    at = damaged.rindex(b"PK\x01\x02", 0, damaged.rindex(b"PK\x01\x02"))
    damaged = damaged[: at + 28] + b"\0\0" + damaged[at + 30 : at + 46] + damaged[at + 47 :]
    end = damaged.rindex(b"PK\x05\x06")
    size = int.from_bytes(damaged[end + 12 : end + 16], "little") - 1
    damaged = damaged[: end + 12] + size.to_bytes(4, "little") + damaged[end + 16 :]
    path.write_bytes(damaged)
    with zipfile.ZipFile(path) as archive:
        assert [entry.filename for entry in archive.infolist()] == ["", "1a8o.cif"]
    assert [one.name for one in members([path]) if not one.problem] == [f"{path}!1a8o.cif"]


@pytest.mark.parametrize("rows", [1 << 14, 1 << 28, 1 << 40])
@pytest.mark.parametrize("kind", ["i4", "S100000"])
def test_an_hdf5_data_set_that_was_never_written(
    tokens, tmp_path: Path, rows: int, kind: str
) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    save_tokens(path, [tokens])
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        del file["ids"]
        file.create_dataset("ids", shape=(rows,), dtype=kind, chunks=(1 << 10,))
        if rows < 1 << 20:
            file["ids"][:1] = np.zeros(1, kind)
    with pytest.raises(TokenFormatError, match=r"x\.h5.*(declares more|more than the limit)"):
        load_tokens(path)


def test_a_manifest_row_with_values_that_no_run_writes(tmp_path: Path) -> None:
    row = ManifestRow(
        index=0,
        member="x.cif",
        source="file",
        chain_id="A",
        status="ok",
        reason=None,
        residues=2,
        resolved=2,
        ms=1.0,
        fingerprint="c0ffee",
        precision="exact",
    )
    path = tmp_path / "manifest-000000.jsonl"
    sound = json.loads(manifest_bytes([row]))
    wrong = {"status": 256, "index": "0", "resolved": [], "residues": True, "ms": None, "member": 1}
    for changed in [{key: value} for key, value in wrong.items()] + [{"resolved": 3}]:
        path.write_text(json.dumps(sound | changed) + "\n")
        with pytest.raises(TokenFormatError, match=r"manifest-000000\.jsonl: line 1"):
            read_manifest(path)


# ----------------------------------------------------------------------------- recipes and models


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = " + "[" * 2000, id="deep"),
        pytest.param("a = " + "1" * 5000, id="digits"),
        pytest.param("a = \xff", id="encoding"),
    ],
)
def test_toml_that_the_parser_itself_stumbles_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"x\.toml: is not TOML"):
        read_toml(path)


@pytest.mark.parametrize(
    "setting",
    [
        "model.decoder.heads=0",
        "model.encoder.heads=0",
        "model.encoder.width=-32",
        "model.encoder.kind=[1, [2]]",
        "model.encoder.kind={}",
        "model.codebook.size=99999999999999999999",
        "model.decoder.trunk_blocks=1000000000",
        "optimizer.learning_rate=nan",
        "optimizer.learning_rate=inf",
        f"optimizer.learning_rate={'9' * 400}",
    ],
)
def test_impossible_settings(setting: str) -> None:
    with pytest.raises(ConfigError):
        load_recipe("smoke", [setting])


@pytest.mark.parametrize("width", [3 * 2**31, 2**63, 2**70, 0, -8])
def test_a_width_that_no_tensor_can_have(tmp_path: Path, width: int) -> None:
    folder = tmp_path / "model"
    StructureAutoencoder.build(load_recipe("smoke").model).save(folder, training={})
    document = json.loads((folder / "config.json").read_text())
    document["model"]["decoder"]["width"] = width
    (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=r"config\.json.*width must be between"):
        StructureAutoencoder.load(folder)


# ------------------------------------------------------------------------------------ structures


def binary_cif(repo_root: Path, change: Callable[[dict], object]) -> bytes:
    """Return a sample whose column of author numbers is changed."""
    tree = msgpack.unpackb((repo_root / "data" / "structures" / "4zhl.bcif").read_bytes())
    for category in tree["dataBlocks"][0]["categories"]:
        for column in category["columns"]:
            if (category["name"], column["name"]) == ("_atom_site", "auth_seq_id"):
                column["mask"] = None
                change(column)
    return msgpack.packb(tree)


@pytest.mark.parametrize("size", [10**7, 2**31 - 1, None, "many", -1])
def test_a_run_of_eight_bytes_that_stands_for_any_number_of_rows(repo_root: Path, size) -> None:
    data = np.array([1, 10**7], dtype="<i4").tobytes()
    run = {"kind": "RunLength", "srcType": 3, "srcSize": size}
    steps = [run, {"kind": "ByteArray", "type": 3}]
    made = {"data": data, "encoding": steps}
    content = binary_cif(repo_root, lambda column: column.update(data=made))
    with pytest.raises(StructureError, match=r"x\.bcif: column 'auth_seq_id' declares"):
        backbones_of_bytes(content, source="x.bcif")


def test_a_long_text_that_many_rows_share(repo_root: Path) -> None:
    plain = [{"kind": "ByteArray", "type": 3}]
    text = {
        "kind": "StringArray",
        "dataEncoding": [{"kind": "ByteArray", "type": 4}],
        "stringData": "w" * 100_000,
        "offsetEncoding": plain,
        "offsets": np.array([0, 100_000], dtype="<i4").tobytes(),
    }
    content = binary_cif(
        repo_root, lambda column: column.update(data={"data": bytes(3000), "encoding": [text]})
    )
    with pytest.raises(StructureError, match=r"text of 100,000 characters, more than the limit"):
        backbones_of_bytes(content, source="x.bcif")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("field", [False, True])
def test_a_long_value_among_many_rows(repo_root: Path, line_end: str, *, field: bool) -> None:
    text = (repo_root / "data" / "structures" / "1a8o.cif").read_text()
    at = text.index("\nATOM") + 1
    row = text[at : text.index("\n", at) + 1]
    long = "w" * 30_000
    value = f"\n;{long}\n; " if field else f" {long} "
    wide = row.replace(" MSE ", value, 1)
    content = (text[:at] + wide + row * 2000 + text[at:]).replace("\n", line_end)
    with pytest.raises(StructureError, match=r"x\.cif: a line or text field of 30,0.. char"):
        backbones_of_bytes(content.encode(), source="x.cif")


def test_nothing_that_is_real_is_refused(repo_root: Path) -> None:
    for name in ("1a8o.cif", "3jqh.cif", "4zhl.bcif"):
        content = (repo_root / "data" / "structures" / name).read_bytes()
        assert backbones_of_bytes(content, source=name)
