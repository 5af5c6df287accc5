"""How do the tests of this folder run command lines, and on which files?"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from provq_protein.cli import main
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.training.config import load_recipe


@dataclass(frozen=True)
class Answer:
    """What a command line gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys) -> Callable[..., Answer]:
    """Return a function that carries out one command line in this process."""

    def call(*arguments: object) -> Answer:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """Return a folder with an untrained model."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    StructureAutoencoder.build(load_recipe("smoke").model, seed=3).save(folder, training={})
    return folder


@pytest.fixture(scope="session")
def other_model_folder(tmp_path_factory) -> Path:
    """Return a folder with another untrained model."""
    folder = tmp_path_factory.mktemp("models") / "other"
    StructureAutoencoder.build(load_recipe("smoke").model, seed=4).save(folder, training={})
    return folder


@pytest.fixture
def good_file(tmp_path, make_coords) -> Path:
    """Return a chain A of 20 residues from -2 to 16A, of which number 4 lacks its C."""
    names = [*range(-2, 17), "16A"]
    lines = [
        pdb_atom(atom, "MET", "A", residue, xyz)
        for residue, places in zip(names, make_coords(20, 1), strict=True)
        for atom, xyz in zip(("N", "CA", "C"), places, strict=True)
        if (residue, atom) != (4, "C")
    ]
    path = tmp_path / "good.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def pdb_atom(
    name: str, component: str, chain: str, residue: object, xyz: Sequence[float] | None = None
) -> str:
    if xyz is None:
        height = {"N": 1.2, "CA": 0.0, "C": -1.2}[name]
        xyz = (int(str(residue)) * 3.8, height, int(str(residue)) % 2)
    number = f"{residue:>4} " if isinstance(residue, int) else f"{residue:>5}"
    x, y, z = xyz
    return (
        f"ATOM      1  {name:<3} {component:>3} {chain}{number}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           {name[0]}"
    )


def pdb_text(component: str, *, whole: str = "", alpha: str = "", partial: str = "") -> str:
    """Return a PDB file with whole chains, chains of CA atoms, and chains that lack each C."""
    atoms = [(chain, ("N", "CA", "C")) for chain in whole]
    atoms += [(chain, ("CA",)) for chain in alpha]
    atoms += [(chain, ("N", "CA")) for chain in partial]
    lines = [
        pdb_atom(name, component, chain, residue)
        for chain, names in atoms
        for residue in range(1, 9)
        for name in names
    ]
    return "\n".join([*lines, "END", ""])


@pytest.fixture
def bad_files(tmp_path, good_file) -> dict[str, Path]:
    """Return one file of every kind that cannot, or only in part, be encoded."""
    folder = tmp_path / "bad"
    folder.mkdir()
    packed = gzip.compress(good_file.read_bytes())
    contents = {
        "empty.cif": b"",
        "truncated.cif.gz": packed[: len(packed) // 2],
        "text.pdb": b"This is no structure.\n",
        "dna.pdb": pdb_text("DA", whole="D").encode(),
        "trace.pdb": pdb_text("GLY", alpha="T").encode(),
        "partial.pdb": pdb_text("GLY", partial="P").encode(),
        "mixed.pdb": pdb_text("GLY", whole="W", alpha="T", partial="P").encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents} | {
        "absent.cif": folder / "absent.cif",
    }
