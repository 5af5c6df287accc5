"""What would an attacker, or a broken disk, hand to this program?

Each function writes one input below a folder and returns its path.
"""

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "structures" / "1a8o.pdb"
MODEL = ROOT / "provq_protein" / "models" / "default"
TERABYTE = 1 << 40


class Payload:
    """Unpickled, it writes a file: the proof that something loads pickles."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle of this does when it is loaded."""
        return Path.write_text, (self._proof, "code was run")


def proof_of(folder: Path) -> Path:
    """Return the file that a loaded pickle writes."""
    return folder / "code-was-run"


# ------------------------------------------------------------------------------------ archives


def zip_bomb(folder: Path) -> Path:
    """A zip of 50 kB with a member of 50 MB."""
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.pdb", bytes(50 << 20), compresslevel=9)
    return path


def tar_bomb(folder: Path) -> Path:
    """A compressed tar that expands a thousandfold."""
    path = folder / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        _add(archive, "bomb.pdb", bytes(32 << 20))
    return path


def gzip_bomb(folder: Path) -> Path:
    """Gzip in gzip: one layer is expanded, the other is refused."""
    path = folder / "bomb.cif.gz"
    path.write_bytes(gzip.compress(gzip.compress(bytes(8 << 20), mtime=0), mtime=0))
    return path


def tar_that_escapes(folder: Path) -> Path:
    """A tar with paths that lead out, a link, and one honest member."""
    path = folder / "escape.tar"
    content = SAMPLE.read_bytes()
    with tarfile.open(path, "w") as archive:
        _add(archive, "../../outside.pdb", content)
        _add(archive, "/tmp/absolute.pdb", content)
        for kind, name in ((tarfile.SYMTYPE, "link.pdb"), (tarfile.LNKTYPE, "hard.pdb")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        _add(archive, "honest.pdb", content)
    return path


def zip_with_a_damaged_member(folder: Path) -> Path:
    """A zip of two structures, in one of which a byte has changed."""
    path = folder / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(SAMPLE, "bad.pdb")
        archive.write(SAMPLE, "good.pdb")
    data = bytearray(path.read_bytes())
    data[1000] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


# ------------------------------------------------------------------------------ structure files


def truncated_gzip(folder: Path) -> Path:
    """The first half of a compressed structure."""
    path = folder / "half.pdb.gz"
    content = gzip.compress(SAMPLE.read_bytes(), mtime=0)
    path.write_bytes(content[: len(content) // 2])
    return path


def truncated_cif(folder: Path) -> Path:
    """An mmCIF file that ends in the middle of a row."""
    path = folder / "half.cif"
    content = SAMPLE.with_suffix(".cif").read_bytes()
    path.write_bytes(content[: content.index(b"\nATOM") + 200])
    return path


def binary_cif_that_explodes(folder: Path) -> Path:
    """A BinaryCIF file of some kilobytes that declares two billion rows."""
    import msgpack

    tree = msgpack.unpackb(SAMPLE.with_name("4zhl.bcif").read_bytes())
    for category in tree["dataBlocks"][0]["categories"]:
        if category["name"] == "_atom_site":
            category["columns"] = [_exploding(column) for column in category["columns"]]
    path = folder / "explodes.bcif"
    path.write_bytes(msgpack.packb(tree))
    return path


def _exploding(column: dict[str, Any]) -> dict[str, Any]:
    size = 2**31 - 1
    run = {"kind": "RunLength", "srcType": 3, "srcSize": size}
    data = np.array([1, size], dtype="<i4").tobytes()
    steps = [run, {"kind": "ByteArray", "type": 3}]
    return {"name": column["name"], "mask": None, "data": {"data": data, "encoding": steps}}


def no_structure(folder: Path) -> Path:
    """A picture whose name says mmCIF."""
    path = folder / "picture.cif"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    return path


STRUCTURES: dict[str, Callable[[Path], Path]] = {
    "zip bomb": zip_bomb,
    "bomb in a compressed tar": tar_bomb,
    "gzip in gzip": gzip_bomb,
    "tar that leads out of its folder": tar_that_escapes,
    "zip with a damaged member": zip_with_a_damaged_member,
    "truncated gzip": truncated_gzip,
    "truncated mmCIF": truncated_cif,
    "BinaryCIF of two billion rows": binary_cif_that_explodes,
    "no structure at all": no_structure,
}
"""Inputs of `provq-protein encode`."""


# --------------------------------------------------------------------------------------- models


def _model(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the shipped model whose configuration is changed."""
    place = folder / name
    place.mkdir()
    shutil.copy(MODEL / "model.safetensors", place)
    document = json.loads((MODEL / "config.json").read_text())
    change(document)
    (place / "config.json").write_text(json.dumps(document))
    return place


def _weights(folder: Path, name: str, content: bytes) -> Path:
    """The shipped configuration with other weights."""
    place = folder / name
    place.mkdir()
    shutil.copy(MODEL / "config.json", place)
    (place / "model.safetensors").write_bytes(content)
    return place


def _safetensors(header: dict[str, Any], data: bytes = b"") -> bytes:
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def pickled_weights(folder: Path) -> Path:
    """A pickle that runs code, under the name of the weights."""
    return _weights(folder, "pickled", pickle.dumps(Payload(proof_of(folder))))


def weights_of_a_terabyte(folder: Path) -> Path:
    """A header that declares a terabyte in a file of a few bytes."""
    entry = {"dtype": "F32", "shape": [TERABYTE // 4], "data_offsets": [0, TERABYTE]}
    return _weights(folder, "terabyte", _safetensors({"codebook": entry}))


def weights_that_overlap(folder: Path) -> Path:
    """Two tensors at one place."""
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    return _weights(folder, "overlap", _safetensors({"a": entry, "b": entry}, bytes(16)))


def weights_with_a_huge_header(folder: Path) -> Path:
    """A header that declares its own length as 2**63."""
    return _weights(folder, "header", (1 << 63).to_bytes(8, "little") + b"{}")


def weights_of_another_shape(folder: Path) -> Path:
    """Sound tensors that are not those of the configuration."""
    from safetensors.numpy import save

    return _weights(folder, "shapes", save({"codebook": np.zeros((2, 2), np.float32)}))


def a_billion_wide(folder: Path) -> Path:
    """A configuration of a model that no memory could hold."""
    return _model(folder, "wide", lambda document: document["model"]["decoder"].update(width=10**9))


def wider_than_memory(folder: Path) -> Path:
    """A configuration within all bounds, whose weights would take terabytes."""
    sizes = {"width": 60_000, "ffn_ratio": 1000}
    return _model(folder, "big", lambda document: document["model"]["decoder"].update(sizes))


def a_billion_blocks(folder: Path) -> Path:
    """A configuration that would take years to go through."""
    return _model(
        folder, "deep", lambda document: document["model"]["decoder"].update(refine_blocks=10**9)
    )


def an_unknown_key(folder: Path) -> Path:
    """A configuration that asks for something unheard of."""
    return _model(folder, "key", lambda document: document["model"].update(hook="os.system"))


MODELS: dict[str, Callable[[Path], Path]] = {
    "pickle named model.safetensors": pickled_weights,
    "tensor of a terabyte": weights_of_a_terabyte,
    "tensors that overlap": weights_that_overlap,
    "header of 2**63 bytes": weights_with_a_huge_header,
    "tensors of other shapes": weights_of_another_shape,
    "width of a billion": a_billion_wide,
    "weights of terabytes": wider_than_memory,
    "a billion blocks": a_billion_blocks,
    "unknown key": an_unknown_key,
}
"""Model folders, for `--model`."""


# --------------------------------------------------------------------------------- token files


def _npz(path: Path, **arrays: Any) -> Path:
    marks = {"format": np.array("provq-tokens"), "format_version": np.array(1)}
    np.savez_compressed(path, **marks, **arrays)
    return path


def pickled_npz(folder: Path) -> Path:
    """An array of objects, which NumPy keeps as a pickle."""
    objects = np.array([Payload(proof_of(folder))], dtype=object)
    return _npz(folder / "objects.npz", ids=objects)


def huge_npz(folder: Path) -> Path:
    """An array whose header declares a terabyte."""
    path = _npz(folder / "huge.npz")
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({TERABYTE // 4},), }}\n"
    raw = header.encode()
    with zipfile.ZipFile(path, "a") as archive:
        member = b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + bytes(64)
        archive.writestr("ids.npy", member)
    return path


def npz_bomb(folder: Path) -> Path:
    """An archive whose directory declares that an array expands to ten gigabytes."""
    path = _npz(folder / "expands.npz", ids=np.zeros(4, np.int32))
    data = bytearray(path.read_bytes())
    # The uncompressed size in the directory's entry, which is what readers go by.
    at = data.rindex(b"ids.npy") - 46 + 24
    data[at : at + 4] = (0xFFFFFFFE).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    return path


def h5_with_external_link(folder: Path) -> Path:
    """An HDF5 file whose array is in another file."""
    import h5py

    path = folder / "link.h5"
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.arange(4)
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        _h5_marks(file)
        file["offsets"] = h5py.ExternalLink(os.fspath(folder / "other.h5"), "/secret")
    return path


def h5_with_values_elsewhere(folder: Path) -> Path:
    """An HDF5 file whose array is the raw content of another file."""
    import h5py

    path = folder / "raw.h5"
    (folder / "raw.bin").write_bytes(bytes(4096))
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        _h5_marks(file)
        outside = [(os.fspath(folder / "raw.bin"), 0, 4096)]
        file.create_dataset("offsets", shape=(512,), dtype="i8", external=outside)
    return path


def huge_h5(folder: Path) -> Path:
    """An HDF5 file of a few kilobytes with a data set of a gigabyte, never written."""
    import h5py

    path = folder / "huge.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        _h5_marks(file)
        file.create_dataset("ids", shape=(1 << 28,), dtype="i4", chunks=(1 << 16,))
    return path


def _h5_marks(file: Any) -> None:
    file.attrs["format"] = np.bytes_("provq-tokens")
    file.attrs["format_version"] = 1


def jsonl_with_a_huge_number(folder: Path) -> Path:
    """An id of five thousand digits."""
    path = folder / "number.jsonl"
    text = '{"format":"provq-tokens","format_version":1,"ids":[' + "9" * 5000 + "]}\n"
    path.write_text(text)
    return path


def deep_jsonl(folder: Path) -> Path:
    """A line of a hundred thousand brackets."""
    path = folder / "deep.jsonl"
    path.write_text('{"format":' + "[" * 100_000)
    return path


def parquet_garbage(folder: Path) -> Path:
    """A file that begins and ends as Parquet does."""
    path = folder / "garbage.parquet"
    path.write_bytes(b"PAR1" + bytes(range(256)) * 4 + (200).to_bytes(4, "little") + b"PAR1")
    return path


TOKENS: dict[str, Callable[[Path], Path]] = {
    "npz with pickled objects": pickled_npz,
    "npz that declares a terabyte": huge_npz,
    "npz that declares more than it holds": npz_bomb,
    "HDF5 with an external link": h5_with_external_link,
    "HDF5 with values in another file": h5_with_values_elsewhere,
    "HDF5 of a gigabyte never written": huge_h5,
    "JSON with a number of 5000 digits": jsonl_with_a_huge_number,
    "JSON nested 100,000 deep": deep_jsonl,
    "Parquet garbage": parquet_garbage,
}
"""Token files, for `decode`."""
