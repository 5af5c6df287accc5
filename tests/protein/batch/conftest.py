"""What do the tests of runs share?"""

import dataclasses
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from provq_protein.batch.manifest import ManifestRow, read_manifest
from provq_protein.batch.run import RunOptions, Summary, encode_to_folder


@pytest.fixture
def stand_ins(monkeypatch) -> ModuleType:
    """Return the module of stand-in encoders, importable in worker processes too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    # Worker processes import the main module, which is pytest itself here: spare them that.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    return importlib.import_module("batch_stand_ins")


def pdb_text(*chain_ids: str, length: int = 6, shift: float = 0.0, atoms: str = "N CA C") -> str:
    """Return a PDB file of short chains."""
    lines = []
    for chain in chain_ids:
        for number in range(1, length + 1):
            for atom in atoms.split():
                height = {"N": 1.2, "CA": 0.0, "C": -1.2}[atom]
                lines.append(
                    f"ATOM      1  {atom:<3} GLY {chain}{number:>4}    "
                    f"{number * 3.8 + shift:8.3f}{height:8.3f}{number % 2:8.3f}  1.00 20.00"
                    f"           {atom[0]}"
                )
    return "\n".join([*lines, "END", ""])


@pytest.fixture
def write_pdb(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a PDB file into the folder ``in``."""
    (tmp_path / "in").mkdir()

    def write(name: str, *chain_ids: str, **what: object) -> Path:
        path = tmp_path / "in" / f"{name}.pdb"
        path.write_text(pdb_text(*(chain_ids or ("A",)), **what))
        return path

    return write


@pytest.fixture
def ten_files(write_pdb) -> Path:
    """Return a folder with ten files of one or two chains."""
    for number in range(10):
        write_pdb(f"f{number}", *("AB"[: 1 + number % 2]), length=4 + number, shift=number)
    return write_pdb("f0").parent


@pytest.fixture
def encode(stand_ins, tmp_path) -> Callable[..., Summary]:
    """Return a function that encodes into a folder, three members per shard."""

    def call(inputs, out="out", *, load=stand_ins.plain, options=None, **arguments) -> Summary:
        options = dataclasses.replace(options or RunOptions(), load_encoder=load)
        arguments = {"shard_size": 3, "format": "jsonl", "options": options} | arguments
        given = inputs if isinstance(inputs, list) else [inputs]
        return encode_to_folder(given, tmp_path / out, **arguments)

    return call


def rows_of(out: Path) -> list[ManifestRow]:
    """Return all rows of a run, with the times blanked."""
    files = sorted(out.glob("manifest-*.jsonl"))
    return [dataclasses.replace(row, ms=0.0) for file in files for row in read_manifest(file)]


def snapshot(out: Path) -> dict[str, object]:
    """Return what has to be the same however a run went: every file, and every row."""
    content: dict[str, object] = {
        path.name: path.read_bytes()
        for path in sorted(out.iterdir())
        if not path.name.startswith("manifest-")
    }
    names = sorted(path.name for path in out.glob("manifest-*"))
    return content | {"manifests": names, "rows": rows_of(out)}


@pytest.fixture
def state_of(tmp_path) -> Callable[[str], dict[str, object]]:
    """Return a function: folder name to what has to be the same however a run went."""
    return lambda name: snapshot(tmp_path / name)


@pytest.fixture
def rows_in(tmp_path) -> Callable[[str], list[ManifestRow]]:
    """Return a function: folder name to the rows of its manifests, times blanked."""
    return lambda name: rows_of(tmp_path / name)
