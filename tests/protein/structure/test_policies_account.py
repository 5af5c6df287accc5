"""Does the account of a file name everything that is taken, masked, dropped or left where it is?"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from provq_protein.structure.account import (
    ChainAccount,
    FileAccount,
    account_of,
    account_of_chain,
)
from provq_protein.structure.components import component_kind
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones

SHARED = Path("..") / "shared" / "data" / "structures"
# Bio.PDB takes long for the others.
LARGEST = 220_000


def account(pdb, **options: object) -> FileAccount:
    return account_of(pdb.text().encode(), source="made.pdb", policy=ResiduePolicy(**options))


def only_chain(pdb, **options: object) -> ChainAccount:
    found = account(pdb, **options)
    assert found.problem is None
    assert len(found.chains) == 1
    return found.chains[0]


def notable(chain: ChainAccount) -> dict[str, object]:
    """Return what is out of the ordinary."""
    ordinary = ("chain_id", "label_chain_id", "model", "residues", "tokens", "mean_b_factor")
    usual = {"wanted": True, "confidence": "b_factor"}
    return {
        name: value
        for name, value in asdict(chain).items()
        if name not in ordinary and value and usual.get(name) != value
    }


def test_an_ordinary_chain_has_nothing_to_tell(pdb) -> None:
    for number in range(1, 5):
        pdb.residue("ALA", number)
    chain = only_chain(pdb)
    assert (chain.chain_id, chain.residues, chain.tokens) == ("A", 4, 4)
    assert chain.mean_b_factor == 20.0
    assert notable(chain) == {}


def modified(pdb) -> dict[str, object]:
    for number, component in enumerate(("ALA", "MSE", "DAL", "UNK", "GLY"), start=1):
        pdb.residue(component, number, hetero=component in ("MSE", "DAL"))
    return {"modified": {"DAL>A": 1, "MSE>M": 1, "UNK>X": 1}, "hetatm": 2}


def without_atoms(pdb) -> dict[str, object]:
    for number in range(1, 5):
        pdb.residue("ALA", number, atoms=("N", "CA") if number == 2 else ("N", "CA", "C"))
    return {"masked": {"incomplete backbone": 1}}


def alternate_locations(pdb) -> dict[str, object]:
    pdb.residue("ALA", 1)
    for altloc in "AB":
        pdb.residue("SER", 2, altloc=altloc, occupancy=0.5)
        pdb.placed -= 1
    pdb.placed += 1
    # One location alone is no choice, and a side chain has none of N, CA and C.
    pdb.residue("GLY", 3, altloc="B")
    pdb.residue("LEU", 4)
    for altloc in "AB":
        pdb.atom("CB", "LEU", 4, altloc=altloc)
    return {"altlocs": 1}


def microheterogeneity(pdb) -> dict[str, object]:
    pdb.residue("ALA", 1)
    for altloc, component in (("A", "SER"), ("B", "THR")):
        pdb.residue(component, 2, altloc=altloc, occupancy=0.5)
        pdb.placed -= 1
    pdb.placed += 1
    pdb.residue("GLY", 3)
    return {"altlocs": 1, "microheterogeneity": ["2 (SER/THR)"]}


def gaps(pdb) -> dict[str, object]:
    pdb.residue("ALA", 1)
    pdb.residue("ALA", 2)
    pdb.gap()
    pdb.residue("ALA", 3)
    pdb.residue("ALA", 20)
    pdb.residue("ALA", 21, atoms=("CA",))
    pdb.residue("ALA", 25)
    # From 3 to 20 the chain goes on, whatever the numbers say.
    return {"gaps": ["2-3", "21-25"], "masked": {"incomplete backbone": 1}}


def numbering(pdb) -> dict[str, object]:
    for number, insertion in ((-2, ""), (-1, ""), (5, "A"), (5, "B"), (3, "")):
        pdb.residue("ALA", number, insertion=insertion)
    pdb.add("TER")
    pdb.residue("GLY", 3)
    return {"insertion_codes": 2, "negative": 2, "out_of_order": 1, "duplicate": 1}


def ca_only(pdb) -> dict[str, object]:
    for number in (1, 2):
        pdb.residue("ALA", number, atoms=("CA",))
    return {
        "ca_only": True,
        "masked": {"incomplete backbone": 2},
        "problem": "only CA atoms (2 residues); N, CA and C are needed",
    }


def others_under_the_id(pdb) -> dict[str, object]:
    pdb.residue("ACE", 0, atoms=("C",), hetero=True)
    pdb.residue("ALA", 1)
    pdb.residue("GLY", 2)
    pdb.add("TER")
    pdb.gap()
    for number, component in ((101, "HOH"), (102, "HOH"), (103, "ZN"), (104, "NAG"), (105, "GLU")):
        pdb.residue(component, number, atoms=("CA",), hetero=True)
    return {"not_taken": {"amino acid": 1, "other": 2, "saccharide": 1, "water": 2}}


ODDITIES = (
    modified, without_atoms, alternate_locations, microheterogeneity, gaps, numbering, ca_only,
    others_under_the_id,
)  # fmt: skip


@pytest.mark.parametrize("build", ODDITIES, ids=lambda build: build.__name__)
def test_an_oddity_is_named_and_nothing_else(pdb, build: Callable[..., dict]) -> None:
    expected = build(pdb)
    assert notable(only_chain(pdb)) == expected


@pytest.mark.parametrize("build", ODDITIES, ids=lambda build: build.__name__)
@pytest.mark.parametrize("options", [{}, {"unresolved": "drop"}, {"altloc": "B"}], ids=str)
def test_the_counts_are_those_of_what_is_read(
    pdb, write_file: Callable[..., Path], build: Callable[..., dict], options: dict
) -> None:
    build(pdb)
    chain = only_chain(pdb, **options)
    read = read_backbones(write_file(pdb.text()), policy=ResiduePolicy(**options))[0]
    assert (chain.residues, chain.tokens) == (len(read), int(read.resolved.sum()))
    assert chain.residues - chain.tokens == sum(chain.masked.values())


def test_what_a_policy_masks_or_drops(pdb) -> None:
    pdb.add("TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR A PROTEIN")
    pdb.add("SEQRES   1 A    6  ALA ALA ALA ALA ALA GLY")
    for number, value in enumerate((90, 30, 80, 20), start=1):
        atoms = ("N", "CA") if number == 3 else ("N", "CA", "C")
        pdb.residue("ALA", number, atoms=atoms, b_factor=value)

    def told(**options: object) -> tuple:
        chain = only_chain(pdb, **options)
        return chain.residues, chain.tokens, chain.masked, chain.dropped

    incomplete, low = "incomplete backbone", "low pLDDT"
    assert told() == (4, 3, {incomplete: 1}, {})
    assert told(unresolved="drop") == (3, 3, {}, {incomplete: 1})
    assert told(min_plddt=50) == (4, 1, {incomplete: 1, low: 2}, {})
    assert told(min_plddt=50, plddt_mode="drop") == (2, 1, {incomplete: 1}, {low: 2})
    both = told(min_plddt=50, plddt_mode="drop", unresolved="drop")
    assert both == (1, 1, {}, {incomplete: 1, low: 2})
    full = told(min_plddt=50, sequence="full")
    assert full == (6, 1, {"no atoms in the file": 2, incomplete: 1, low: 2}, {})
    assert only_chain(pdb).confidence == "plddt"


def test_every_chain_of_a_file_is_accounted_for(pdb) -> None:
    for chain in "AB":
        pdb.residue("ALA", 1, chain=chain)
        pdb.residue("GLY", 2, chain=chain)
        pdb.add("TER")
        pdb.gap()
    for number, component in enumerate(("DA", "DG"), start=1):
        pdb.residue(component, number, chain="C", atoms=("C1'", "P"))
    pdb.residue("ZN", 1, chain="D", atoms=("ZN",), hetero=True)
    pdb.residue("HOH", 2, chain="D", atoms=("O",), hetero=True)
    pdb.residue("HOH", 1, chain="W", atoms=("O",), hetero=True)
    found = account(pdb, chains=["A"])
    assert [(chain.chain_id, chain.wanted) for chain in found.chains] == [("A", True), ("B", False)]
    assert found.other_chains == {"nucleotide": ["C"], "other": ["D"], "water": ["W"]}
    assert found.not_taken == {"nucleotide": 2, "other": 1, "water": 2}
    assert found.components == {"ZN": 1}
    assert found.problem is None
    assert account(pdb, chains=["A", "Q"]).problem == "no such protein chain: Q"


def test_a_file_without_protein_or_that_cannot_be_read_has_a_reason(pdb) -> None:
    pdb.residue("DA", 1, atoms=("C1'", "P"))
    found = account(pdb)
    assert found.problem == "no polypeptide chain; model 1 holds 1 nucleic-acid chain"
    assert found.other_chains == {"nucleotide": ["A"]}
    broken = account_of(b"hello", source="x.pdb")
    assert broken.format is None
    assert broken.problem is not None
    assert broken.problem.startswith("the content is no structure file")
    asked = account(pdb, assembly="3")
    assert asked.problem is not None
    assert "assembly 3 is not in the file" in asked.problem


def test_every_model_has_its_rows(repo_root: Path) -> None:
    path = repo_root / "data" / "structures" / "1lcd.pdb.gz"
    found = account_of(path.read_bytes(), source=path.name, policy=ResiduePolicy(model="all"))
    assert (found.models, [chain.model for chain in found.chains]) == (3, [1, 2, 3])
    assert account_of(path.read_bytes(), source=path.name).models == 3


def test_a_chain_that_comes_from_no_file(pdb, write_file: Callable[..., Path]) -> None:
    without_atoms(pdb)
    chain = read_backbones(write_file(pdb.text()))[0]
    found = account_of_chain(chain, source="db!1")
    assert [(row.residues, row.tokens, row.masked) for row in found.chains] == [
        (4, 3, {"incomplete backbone": 1})
    ]
    refused = account_of_chain(chain, source="db!1", policy=ResiduePolicy(assembly="1"))
    assert refused.problem is not None
    assert refused.chains == []


@pytest.mark.parametrize("folder", ["rcsb", "bm5", "casp14"])
def test_counts_are_those_of_another_reader(repo_root: Path, folder: str) -> None:
    if not (repo_root / SHARED).is_dir():
        pytest.skip(f"{SHARED} is absent")
    pdb_module = pytest.importorskip("Bio.PDB")
    parsers = {
        ".pdb": pdb_module.PDBParser(QUIET=True),
        ".cif": pdb_module.MMCIFParser(QUIET=True),
    }
    files = [
        path
        for path in sorted((repo_root / SHARED / folder).iterdir())
        if path.suffix in parsers and path.stat().st_size < LARGEST
    ]
    assert len(files) > 2
    for path in files:
        found = account_of(path.read_bytes(), source=path.name)
        assert found.problem is None
        theirs = parsers[path.suffix].get_structure(path.stem, path)[0]
        rows = {chain.chain_id: chain for chain in found.chains}
        other = {name for names in found.other_chains.values() for name in names}
        assert rows.keys() | other == {chain.id.strip() or "_" for chain in theirs}, path.name
        for chain in theirs:
            assert_explained(rows.get(chain.id.strip() or "_"), chain)


def assert_explained(row: ChainAccount | None, theirs) -> None:
    """Compare a row with a chain of Bio.PDB, which merges residues that have one id."""
    amino_acids = [r for r in theirs if component_kind(r.get_resname().strip()) == "amino acid"]
    in_atom_records = sum(residue.id[0] == " " for residue in amino_acids)
    if row is None:
        assert in_atom_records == 0
        return
    # Such as the cysteine of an iron-sulfur cluster, which only its atoms tell.
    unheard_of = sum(
        number
        for name, number in row.modified.items()
        if component_kind(name.partition(">")[0]) != "amino acid"
    )
    assert in_atom_records == row.residues - row.hetatm - row.duplicate - unheard_of
    assert len(theirs) == row.residues - row.duplicate + sum(row.not_taken.values())
