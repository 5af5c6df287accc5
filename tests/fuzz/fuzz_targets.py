"""What is fuzzed: how is an input made for each reader, and what is done with it?"""

import copy
import dataclasses
import gzip
import importlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fuzz_seeds as seeds
import numpy as np
from fuzz_mutations import VALUES, any_bytes, any_text, any_tree

Files = Mapping[str, bytes]
"""Names in the input's folder, and contents."""


@dataclasses.dataclass(frozen=True)
class Target:
    """
    One reader to be fuzzed.

    Parameters
    ----------
    make : callable
        Returns the files of one input.
    read : callable
        Reads them from a folder. It may raise errors of the project that name the folder.
    share : int
        Weight when a number of inputs is divided among targets: cheap readers get more.
    seconds : float
        How much time of a processor one input may take: a busy machine is no finding.
    waits : float
        How long it may take in all, most of which can only be waiting.
    """

    make: Callable[[random.Random], Files]
    read: Callable[[Path], object]
    share: int
    seconds: float = 5.0
    waits: float = 120.0


class UnnamedProblemError(Exception):
    """A problem was reported without a reason, or with one that is no single line."""


# ---------------------------------------------------------------------------------- structures


def _structure(path: Path) -> None:
    from provq_protein.structure.reading import backbones_of_bytes

    backbones_of_bytes(path.read_bytes(), source=str(path), max_bytes=1 << 22)


def _read_structure(folder: Path) -> None:
    (path,) = folder.iterdir()
    _structure(path)


def _make_pdb(rng: random.Random) -> Files:
    return {"input.pdb": any_text(rng.choice(seeds.pdb_seeds()), rng)}


def _make_mmcif(rng: random.Random) -> Files:
    return {"input.cif": any_text(rng.choice(seeds.cif_seeds()), rng)}


def _make_bcif(rng: random.Random) -> Files:
    import msgpack

    content = rng.choice(seeds.bcif_seeds())
    if rng.random() < 0.3:
        return {"input.bcif": any_bytes(content, rng)}
    tree = msgpack.unpackb(content)
    categories = tree["dataBlocks"][0]["categories"]
    # Into a column mostly: the way down from the top ends in metadata too often.
    if rng.random() < 0.8:
        columns = rng.choice(categories)["columns"]
        place = rng.randrange(len(columns))
        if rng.random() < 0.1:
            columns[place]["data"] = _long_run(rng)
        columns[place] = any_tree(columns[place], rng, times=rng.choice((0, 1, 1, 1, 2)))
    else:
        tree = any_tree(tree, rng, times=1)
    try:
        return {"input.bcif": msgpack.packb(tree)}
    except (OverflowError, TypeError, ValueError):
        return {"input.bcif": any_bytes(content, rng)}


def _long_run(rng: random.Random) -> dict[str, Any]:
    """Return a column of eight bytes that stands for many rows."""
    size = rng.choice((34, 35, 36, 10**6, 10**8, 2**31 - 1))
    run = {"kind": "RunLength", "srcType": 3, "srcSize": size}
    if rng.random() < 0.2:
        del run["srcSize"]
    data = np.array([1, size], dtype="<i4").tobytes()
    return {"data": data, "encoding": [run, {"kind": "ByteArray", "type": 3}]}


def _make_compressed(rng: random.Random) -> Files:
    content = rng.choice((*seeds.pdb_seeds(), *seeds.cif_seeds(), *seeds.bcif_seeds()))
    if rng.random() < 0.2:
        content = bytes(rng.choice((1 << 16, 1 << 20, 1 << 23)))
    packed = _packed(content, rng)
    what = rng.randrange(5)
    if what == 0:
        packed = _packed(packed, rng)
    elif what == 1:
        packed += rng.choice((packed, b"\x00" * 9, b"garbage", _packed(content, rng)))
    if what > 1 or rng.random() < 0.5:
        packed = any_bytes(packed, rng)
    return {rng.choice(("input.cif.gz", "input.pdb.zst", "input.bcif")): packed}


def _packed(content: bytes, rng: random.Random) -> bytes:
    what = rng.randrange(4)
    if what == 0:
        return importlib.import_module("zstandard").compress(content, level=1)
    if what == 1:
        half = len(content) // 2
        return gzip.compress(content[:half], 1, mtime=0) + gzip.compress(content[half:], 1, mtime=0)
    return gzip.compress(content, 1, mtime=0)


# ------------------------------------------------------------------------------------ archives

_NAMES = (
    "a.pdb", "b/c.cif", "../evil.pdb", "/tmp/evil.pdb", "a/../../evil.cif", "C:\\evil.pdb",
    ".hidden.pdb", "x.cif.gz", "é.pdb", "a\nb.pdb", "n" * 300 + ".pdb", "inner.tar", "x.zip", "",
    "dir/", "a.pdb/b.pdb", "-.pdb", "CON.pdb", "\udcff.pdb",
)  # fmt: skip


def _make_archive(rng: random.Random) -> Files:
    if rng.random() < 0.5:
        content, name = _tar(rng), "input.tar"
        if rng.random() < 0.5:
            content, name = _packed(content, rng), rng.choice(("input.tar.gz", "input.tar.zst"))
    else:
        content, name = _zip(rng), "input.zip"
    return {name: any_bytes(content, rng) if rng.random() < 0.8 else content}


def _tar(rng: random.Random) -> bytes:
    written = io.BytesIO()
    form = rng.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    archive = tarfile.open(  # noqa: SIM115 - closed below, or left without an end on purpose
        fileobj=written, mode="w", format=form, errors="surrogateescape"
    )
    for _ in range(rng.randrange(4)):
        entry = tarfile.TarInfo(rng.choice(_NAMES))
        content = rng.choice(seeds.pdb_seeds())
        entry.size = len(content)
        entry.type = rng.choice((tarfile.REGTYPE,) * 6 + (b"1", b"2", b"3", b"5", b"6", b"S", b"Z"))
        entry.linkname = rng.choice(("", "/etc/passwd", "../../x"))
        if form == tarfile.PAX_FORMAT and rng.random() < 0.3:
            key = rng.choice(("path", "size", "GNU.sparse.major", "comment", "linkpath"))
            entry.pax_headers = {key: rng.choice(("../x.pdb", "9" * 30, "-1", "", "\x00", "a.pdb"))}
        try:
            archive.addfile(entry, io.BytesIO(content))
        except (ValueError, OSError):
            continue
    if rng.random() < 0.8:
        archive.close()
    return written.getvalue()


def _zip(rng: random.Random) -> bytes:
    written = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(written, "w") as archive:
        for _ in range(rng.randrange(4)):
            entry = zipfile.ZipInfo(rng.choice(_NAMES[:-1]) or "x.pdb")
            entry.compress_type = rng.choice(methods + methods[:2] * 3)
            entry.external_attr = rng.choice((0, 0o100644, 0o120777, 0o040755, 0o010644)) << 16
            bomb = rng.random() < 0.1
            content = bytes(1 << 22) if bomb else rng.choice(seeds.pdb_seeds())
            archive.writestr(entry, content, compresslevel=1)
    return written.getvalue()


def _read_archive(folder: Path) -> None:
    from provq_protein.errors import StructureError
    from provq_protein.sources import Limits, members
    from provq_protein.structure.reading import backbones_of_bytes

    (path,) = folder.iterdir()
    limits = Limits(member_bytes=1 << 22, archive_bytes=1 << 24, ratio_after=1 << 20)
    count = 0
    for member in members([path], limits=limits):
        count += 1
        if member.problem is not None:
            _check_problem(member.name, member.problem, path)
        elif member.content is not None:
            try:
                backbones_of_bytes(member.content, source=member.name, max_bytes=1 << 22)
            except StructureError as error:
                if member.name not in str(error):
                    msg = f"{error!s} lacks {member.name}"
                    raise UnnamedProblemError(msg) from error
    if not count:
        msg = "an archive that gave no member and no problem"
        raise UnnamedProblemError(msg)


def _check_problem(name: str, problem: str, path: Path) -> None:
    if not problem.strip() or "\n" in problem or not name.startswith(str(path)):
        msg = f"{name!r}: {problem!r}"
        raise UnnamedProblemError(msg)


# --------------------------------------------------------------------------------- token files


def _table(rng: random.Random) -> dict[str, np.ndarray]:
    """Return the arrays of a token file, one or two of them not as they should be."""
    from provq_protein.tokens.table import pack

    table: dict[str, Any] = dict(pack(seeds.token_seed()))
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice(list(table))
        table[name] = _changed_array(np.ravel(table[name]), rng)
        if table[name] is None:
            del table[name]
    return table


_DTYPES = (
    "<i8",
    ">i4",
    "u1",
    "u8",
    "f4",
    "f8",
    "?",
    "U3",
    "S4",
    "c16",
    "M8[s]",
    "m8[s]",
    "V4",
    "U0",
)


def _changed_array(values: np.ndarray, rng: random.Random) -> np.ndarray | None:
    what = rng.randrange(7)
    if what == 0 or not values.size:
        return None
    if what == 1:
        try:
            return values.astype(rng.choice(_DTYPES))
        except (ValueError, TypeError):
            return values[:0]
    if what == 2:
        return values[: rng.randrange(len(values) + 1)]
    if what == 3:
        return np.concatenate([values, values])
    if what == 4:
        return rng.choice((values[None], values.reshape(-1, 1), values[0], values[::-1]))
    if what == 5 and values.dtype.kind in "iu":
        extremes = (-1, 0, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**62))
        changed = values.astype(np.int64)
        changed[rng.randrange(len(changed))] = rng.choice(extremes)
        return changed
    if values.dtype.kind == "U":
        words = values.tolist()
        words[rng.randrange(len(words))] = rng.choice(("", "ab", "\x00a", "é", "\udcff", "A" * 999))
        return np.array(words, dtype=np.str_)
    return np.zeros(len(values), dtype=rng.choice(_DTYPES[:8]))


def _make_npz(rng: random.Random) -> Files:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        table = {"format": np.array("provq-tokens"), "format_version": np.array(1), **_table(rng)}
        damaged = rng.choice(list(table)) if rng.random() < 0.7 else None
        for name, values in table.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, values, allow_pickle=False)
            content = buffer.getvalue()
            if name == damaged:
                content = _npy_changed(content, rng)
            archive.writestr(f"{name}.npy", content)
    content = written.getvalue()
    return {"input.npz": any_bytes(content, rng) if rng.random() < 0.4 else content}


def _npy_changed(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return any_bytes(content, rng)
    header = rng.choice((
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (100000000000,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<U100000000', 'fortran_order': False, 'shape': (100,), }",
        "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 2), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<i4', 'shape': (4,)}",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (4,), }",
        "(" * 3000,
        "[" * 90 + "]" * 90,
        "{'descr': '<i4', 'fortran_order': False, 'shape': (0, 99999999999999999999)}",
    ))  # fmt: skip
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + content[80:]


def _make_h5(rng: random.Random) -> Files:
    import h5py

    if rng.random() < 0.5:
        return {"input.h5": any_bytes(_h5_seed(), rng)}
    written = io.BytesIO()
    with h5py.File(written, "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = rng.choice((b"provq-tokens",) * 9 + ("é", 1, [1.0]))
        file.attrs["format_version"] = rng.choice((1,) * 9 + (2, "1", [1, 1], np.nan))
        for name, values in _table(rng).items():
            _h5_values(h5py, file, name, values)
        if rng.random() < 0.5:
            _h5_odd(h5py, file, rng)
    return {"input.h5": written.getvalue()}


@cache
def _h5_seed() -> bytes:
    import tempfile

    from provq_protein.tokens.formats import save_tokens

    with tempfile.TemporaryDirectory() as folder:
        save_tokens(Path(folder) / "x.h5", seeds.token_seed())
        return (Path(folder) / "x.h5").read_bytes()


def _h5_values(h5py: Any, file: Any, name: str, values: np.ndarray) -> None:
    if values.dtype.kind == "U":
        values = np.char.encode(values, "utf-8", "surrogatepass")
        text = h5py.string_dtype("utf-8", max(values.dtype.itemsize, 1))
        file.create_dataset(name, data=values.astype(text), dtype=text)
        return
    try:
        file.create_dataset(name, data=values)
    except (TypeError, ValueError):
        file.create_group(name)


def _h5_odd(h5py: Any, file: Any, rng: random.Random) -> None:
    name = rng.choice(list(file) or ["ids"])
    if name in file:
        del file[name]
    what = rng.randrange(6)
    if what == 0:
        file[name] = h5py.ExternalLink("/etc/hostname", "/x")
    elif what == 1:
        file[name] = h5py.SoftLink(f"/{name}")
    elif what == 2:
        # Declared, never written: it takes no room in the file.
        shape = rng.choice(((1 << 40,), (1 << 32,), (1 << 28,), (0,), (2, 2), ()))
        chunks = (1 << 10,) if len(shape) == 1 and shape[0] >= 1 << 16 else None
        kind = rng.choice(("i4", "S100000", "f8", "?"))
        if shape == () or chunks:
            file.create_dataset(name, shape=shape, dtype=kind, chunks=chunks if shape else None)
    elif what == 3:
        file.create_dataset(name, data=["a", "é"], dtype=h5py.string_dtype())
    elif what == 4:
        file.create_dataset(name, data=np.zeros(4, dtype=[("a", "i4"), ("b", "f8")]))
    else:
        file.create_group(name)


def _make_jsonl(rng: random.Random) -> Files:
    from provq_protein.tokens.jsonl import to_json_line

    records = [json.loads(to_json_line(chain)) for chain in seeds.token_seed()]
    place = rng.randrange(len(records))
    records[place] = any_tree(records[place], rng)
    text = "\n".join(_json(record) for record in records).encode("utf-8", "surrogatepass") + b"\n"
    return {"input.jsonl": any_text(text, rng) if rng.random() < 0.4 else text}


def _json(tree: Any) -> str:
    return json.dumps(tree, default=lambda value: value.decode("latin-1"))


def _make_parquet(rng: random.Random) -> Files:
    if rng.random() < 0.4:
        return {"input.parquet": any_bytes(_parquet_seed(), rng)}
    import pyarrow
    import pyarrow.parquet

    from provq_protein.tokens.parquet_rows import table_schema, to_batch

    schema = table_schema(pyarrow)
    table = pyarrow.Table.from_batches([to_batch(pyarrow, seeds.token_seed(), names="name")])
    rows = any_tree(table.to_pylist(), rng)
    try:
        if rng.random() < 0.7:
            table = pyarrow.Table.from_pylist(rows, schema=schema)
        else:
            table = pyarrow.Table.from_pylist(rows)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError, AttributeError, KeyError):
        pass
    values = {"format": "provq-tokens", "format_version": "1"}
    values[rng.choice(list(values))] = rng.choice(("provq-tokens", "1", "1", "1", "2", "x"))
    table = table.replace_schema_metadata({f"provq.{key}": value for key, value in values.items()})
    written = io.BytesIO()
    try:
        pyarrow.parquet.write_table(table, written, store_schema=False)
    except (pyarrow.ArrowException, ValueError):
        return {"input.parquet": any_bytes(_parquet_seed(), rng)}
    content = written.getvalue()
    return {"input.parquet": any_bytes(content, rng) if rng.random() < 0.5 else content}


@cache
def _parquet_seed() -> bytes:
    import tempfile

    from provq_protein.tokens.formats import save_tokens

    with tempfile.TemporaryDirectory() as folder:
        save_tokens(Path(folder) / "x.parquet", seeds.token_seed())
        return (Path(folder) / "x.parquet").read_bytes()


def _read_tokens(folder: Path) -> None:
    from provq_protein.tokens.formats import load_tokens

    (path,) = folder.iterdir()
    load_tokens(path)


def _make_text(rng: random.Random) -> Files:
    from provq_protein.tokens.text import to_record

    styles = ("ints", "fixed")
    first, second = seeds.token_seed()
    text = to_record("a_A", first, style=rng.choice(styles))
    text += to_record("b_NA", second, style=rng.choice(styles))
    return {"input.fasta": any_text(text.encode(), rng)}


def _read_text(folder: Path) -> None:
    from provq_protein.tokens.text import read_fasta

    (path,) = folder.iterdir()
    read_fasta(path)


# ------------------------------------------------------------------------------ runs of encode


def _make_batch(rng: random.Random) -> Files:
    from provq_protein.batch.manifest import ManifestRow, manifest_bytes

    about = {"member": "a.tar!x.cif", "source": "tar", "ms": 1.5}
    about |= {"fingerprint": "c0ffee", "precision": "exact"}
    done = {"index": 0, "chain_id": "A", "status": "ok", "reason": None}
    failed = {"index": 1, "chain_id": None, "status": "failed", "reason": "damaged"}
    rows = [
        ManifestRow(**about, **done, residues=4, resolved=3),
        ManifestRow(**about, **failed, residues=0, resolved=0),
    ]
    files = {
        "manifest-000000.jsonl": manifest_bytes(rows),
        "tokens-000000.parquet": _parquet_seed(),
        "run.json": json.dumps(
            {"fingerprint": "c0ffee", "shard_size": 4, "format": "npz"}
        ).encode(),
    }
    name = rng.choice(("manifest-000000.jsonl",) * 5 + tuple(files))
    if name.startswith("manifest") and rng.random() < 0.6:
        records = [json.loads(line) for line in files[name].splitlines()]
        place = rng.randrange(len(records))
        records[place] = any_tree(records[place], rng)
        files[name] = "\n".join(map(_json, records)).encode("utf-8", "surrogatepass")
    elif name == "run.json" and rng.random() < 0.6:
        files[name] = _json(any_tree(json.loads(files[name]), rng)).encode("utf-8", "surrogatepass")
    else:
        files[name] = any_text(files[name], rng)
    return files


def _read_batch(folder: Path) -> None:
    from provq_protein.batch.folder import CONFIGURATION, agree
    from provq_protein.batch.manifest import read_manifest
    from provq_protein.errors import ProvqError
    from provq_protein.export.token_files import named_chains, token_files

    problems = []
    mine = {"fingerprint": "c0ffee", "shard_size": 4, "format": "npz"}
    for read in (
        lambda: [_use_row(row) for row in read_manifest(folder / "manifest-000000.jsonl")],
        lambda: list(named_chains(token_files([folder]))),
        lambda: agree(folder, CONFIGURATION, mine, where="another configuration"),
    ):
        try:
            read()
        except ProvqError as error:
            problems.append(error)
    for error in problems:
        if str(folder) not in str(error):
            raise error


def _use_row(row: Any) -> None:
    """Do what readers of a manifest do: count, compare, print."""
    if (
        row.status not in ("ok", "skipped", "failed")
        or row.index < 0
        or row.residues < row.resolved
    ):
        msg = f"a row that means nothing: {row}"
        raise ValueError(msg)
    row.to_line()


# ----------------------------------------------------------------------------- recipes, models


@cache
def _recipes() -> tuple[bytes, ...]:
    from importlib import resources

    folder = resources.files("provq_protein") / "recipes"
    return tuple(
        (folder / f"{name}.toml").read_bytes() for name in ("smoke", "default", "vanilla_vq")
    )


_TOML = (
    b"true", b"1e400", b"-1", b"0", b"99999999999999999999", b"nan", b"inf", b'""', b'"x"', b"[]",
    b"[1, [2]]", b"{}", b"{a = 1}", b"1979-05-27", b"'''", b"0x", b"1_0", b"1" * 5000, b"[" * 2000,
)  # fmt: skip


def _make_recipe(rng: random.Random) -> Files:
    text = rng.choice(_recipes())
    if rng.random() < 0.6:
        lines = text.split(b"\n")
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.choice([index for index, line in enumerate(lines) if b"=" in line])
            key = lines[place].split(b"=")[0]
            lines[place] = key + b"= " + rng.choice(_TOML)
        text = b"\n".join(lines)
    else:
        text = any_text(text, rng)
    return {"input.toml": text}


def _read_recipe(folder: Path) -> None:
    from provq_protein.training.config import load_recipe

    load_recipe(str(folder / "input.toml"))


@cache
def _model_seed() -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return configuration, header and data of a model folder."""
    import tempfile

    from provq_protein.model.autoencoder import StructureAutoencoder
    from provq_protein.training.config import load_recipe

    settings = ["model.encoder.width=8", "model.decoder.width=8", "model.codebook.size=4"]
    config = load_recipe("smoke", settings).model
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        StructureAutoencoder.build(config, seed=1).save(place, training={})
        document = json.loads((place / "config.json").read_text())
        weights = (place / "model.safetensors").read_bytes()
    size = int.from_bytes(weights[:8], "little")
    return document, json.loads(weights[8 : 8 + size]), weights[8 + size :]


def _make_model(rng: random.Random) -> Files:
    document, header, data = (copy.deepcopy(part) for part in _model_seed())
    what = rng.random()
    text = _json(document).encode()
    size = None
    if what < 0.35:
        part = rng.choice(
            (
                document["model"]["encoder"],
                document["model"]["decoder"],
                document["model"],
                document,
            )
        )
        key = rng.choice(list(part))
        part[key] = rng.choice((*VALUES[:24], 10**9, 10**12))
        text = _json(document).encode("utf-8", "surrogatepass")
    elif what < 0.5:
        text = _json(any_tree(document, rng)).encode("utf-8", "surrogatepass")
    elif what < 0.6:
        text = any_text(text, rng)
    elif what < 0.9:
        header = any_tree(header, rng)
        if rng.random() < 0.2:
            size = rng.choice((0, 1, 2**63, 2**64 - 1, 1 << 40, len(data)))
    else:
        data = any_bytes(data, rng)
    raw = _json(header).encode("utf-8", "surrogatepass")
    length = (len(raw) if size is None else size).to_bytes(8, "little")
    return {"config.json": text, "model.safetensors": length + raw + data}


def _read_model(folder: Path) -> None:
    from provq_protein.model.autoencoder import StructureAutoencoder

    StructureAutoencoder.load(folder)


TARGETS: dict[str, Target] = {
    "mmcif": Target(_make_mmcif, _read_structure, 20),
    "bcif": Target(_make_bcif, _read_structure, 20),
    "pdb": Target(_make_pdb, _read_structure, 20),
    "compressed": Target(_make_compressed, _read_structure, 10),
    "archive": Target(_make_archive, _read_archive, 10),
    "npz": Target(_make_npz, _read_tokens, 6),
    "h5": Target(_make_h5, _read_tokens, 5),
    "jsonl": Target(_make_jsonl, _read_tokens, 12),
    "parquet": Target(_make_parquet, _read_tokens, 5),
    "text": Target(_make_text, _read_text, 12),
    "batch": Target(_make_batch, _read_batch, 5),
    "recipe": Target(_make_recipe, _read_recipe, 6),
    "model": Target(_make_model, _read_model, 2),
}
"""Every target by its name."""
