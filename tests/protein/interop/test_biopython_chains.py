"""Are structures of Bio.PDB read as their files are, and do chains survive the way there?"""

import gzip
import io
import sys
from dataclasses import fields, replace
from importlib.util import find_spec

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.interop.biopython import backbones_from_biopython, to_biopython
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones

pytestmark = pytest.mark.skipif(find_spec("Bio") is None, reason="needs the extra 'interop'")
TEXT = ("1a8o.cif", "1a8o.pdb", "1as5.cif.gz", "1lcd.pdb.gz", "2xhe.pdb.gz", "3jqh.cif")


@pytest.fixture
def parse():
    """Return a function that parses a structure file as Biopython does."""

    def call(path):
        from Bio.PDB import MMCIFParser, PDBParser

        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        parser = (PDBParser if ".pdb" in path.name else MMCIFParser)(QUIET=True)
        return parser.get_structure(str(path), io.StringIO(text))

    return call


def differing(one, other):
    """Return the fields in which two chains differ."""

    def same(name):
        first, second = getattr(one, name), getattr(other, name)
        if isinstance(first, np.ndarray):
            return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        return first == second

    return {field.name for field in fields(one) if not same(field.name)}


@pytest.mark.parametrize("name", TEXT)
def test_chains_are_those_of_the_file(name, repo_root, parse):
    path = repo_root / "data" / "structures" / name
    expected = read_backbones(path, policy=ResiduePolicy(model="all"))
    found = backbones_from_biopython(parse(path))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        # Bio.PDB has no label numbers.
        assert differing(one, other) <= {"label_numbers"}


@pytest.mark.parametrize("name", ["1as5.cif.gz", "2xhe.pdb.gz", "1gbt.bcif.gz"])
def test_chains_come_back(name, repo_root):
    """1GBT has insertion codes, 2XHE two chains and an unresolved residue, 1AS5 models."""
    chains = read_backbones(
        repo_root / "data" / "structures" / name, policy=ResiduePolicy(model="all")
    )
    structure = to_biopython(chains, name="mine")
    again = backbones_from_biopython(structure)
    assert len(again) == len(chains)
    for one, other in zip(again, chains, strict=True):
        assert one.source == "mine"
        allowed = {"source", "label_numbers", "label_chain_id"}
        assert differing(one, other) <= allowed


def test_alternate_locations_are_chosen_by_the_contract(parse, tmp_path):
    def atom(serial, name, letter, x, occupancy):
        return (
            f"ATOM  {serial:5d}  {name:<3}{letter}GLY A   1    {x:8.3f}{0:8.3f}{0:8.3f}"
            f"{occupancy:6.2f}{5:6.2f}           {name[0]}"
        )

    # Bio.PDB selects B for each atom; A has all three and is taken whole.
    rows = [
        ("N", "A", 0.0, 0.4),
        ("CA", "A", 1.5, 0.4),
        ("CA", "B", 1.6, 0.6),
        ("C", "A", 2.9, 0.4),
    ]
    text = [atom(serial, *row) for serial, row in enumerate(rows, 1)]
    path = tmp_path / "x.pdb"
    path.write_text("\n".join([*text, "END", ""]))
    (found,) = backbones_from_biopython(parse(path))
    (expected,) = read_backbones(path)
    assert found.coords[0, 1, 0] == pytest.approx(1.5)
    assert np.array_equal(found.coords, expected.coords)


def test_what_biopython_cannot_hold_is_refused(make_coords):
    chain = Backbone.from_arrays(make_coords(4, 1), source="x.cif")
    with pytest.raises(StructureError, match=r"x\.cif: chain A: occurs twice in model 1"):
        to_biopython([chain, chain])
    twice = replace(chain, author_numbers=np.array([1, 2, 2, 3], dtype=np.int32))
    with pytest.raises(StructureError, match="residue 2 occurs twice"):
        to_biopython(twice)
    nothing = Backbone.from_arrays(np.full((3, 3, 3), np.nan))
    with pytest.raises(StructureError, match="no residue is resolved"):
        to_biopython(nothing)


def test_a_decoded_chain_can_be_written_by_biopython(make_coords, tmp_path):
    """Decoded chains have no B-factors, and Bio.PDB does not write files without."""
    from Bio.PDB import PDBIO

    writer = PDBIO()
    writer.set_structure(to_biopython(Backbone.from_arrays(make_coords(5, 2), sequence="MKGAV")))
    writer.save(str(tmp_path / "out.pdb"))
    (again,) = read_backbones(tmp_path / "out.pdb")
    assert again.sequence == "MKGAV"
    assert again.b_factors.tolist() == [0.0] * 5


def test_a_structure_without_protein_says_what_it_holds(parse, tmp_path):
    path = tmp_path / "water.pdb"
    path.write_text(
        "HETATM    1  O   HOH A   1       1.000   1.000   1.000  1.00  1.00           O  \nEND\n"
    )
    with pytest.raises(StructureError, match="no polypeptide chain; its first model holds"):
        backbones_from_biopython(parse(path))


def test_an_absent_biopython_is_named(make_coords, monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio.PDB", None)
    with pytest.raises(MissingExtraError, match=r"provq\[interop\]"):
        to_biopython(Backbone.from_arrays(make_coords(4, 1)))
