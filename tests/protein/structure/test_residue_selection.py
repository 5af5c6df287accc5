"""Which residues does a file have, and which conformer stands for each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure import read_backbones

CIF_HEAD = """data_made
loop_
_atom_site.group_PDB
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_entity_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.auth_seq_id
_atom_site.auth_asym_id
"""
ENTITIES = "_entity_poly.entity_id 1\n_entity_poly.type 'polypeptide(L)'\n"


def test_a_calcium_ion_is_no_residue(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    pdb.residue("ALA", 2)
    pdb.atom("CA", "CA", 301, hetero=True)
    pdb.atom("CA", "CA", 302, hetero=False)
    pdb.atom("O", "HOH", 401, hetero=True)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_ids == ("1", "2")


def test_the_calcium_ion_of_a_real_entry_is_no_residue(repo_root: Path) -> None:
    (chain,) = read_backbones(repo_root / "data" / "structures" / "1gbt.bcif.gz")
    assert "CA" not in chain.residue_names
    assert set(chain.sequence) <= set("ACDEFGHIKLMNPQRSTVWY")


def test_modified_residues_carry_the_letter_of_their_parent(repo_root: Path) -> None:
    for name in ("1a8o.cif", "1a8o.pdb"):
        (chain,) = read_backbones(repo_root / "data" / "structures" / name)
        places = [index for index, name in enumerate(chain.residue_names) if name == "MSE"]
        assert places == [0, 34, 63, 64]
        assert {chain.sequence[index] for index in places} == {"M"}
        assert chain.resolved.all()


def test_hetatm_residues_of_a_bare_file_are_kept(pdb, write_file) -> None:
    pdb.residue("MSE", 1, hetero=True)
    pdb.residue("SEP", 2, hetero=True)
    pdb.residue("ALA", 3)
    pdb.residue("TPO", 4, hetero=True)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "MSAT"
    assert chain.residue_names == ("MSE", "SEP", "ALA", "TPO")


@pytest.mark.parametrize("after", ["TER", "ATOM", "nothing"])
def test_a_modified_residue_between_gaps_needs_a_sign_that_it_is_in_the_chain(
    pdb, write_file, after: str
) -> None:
    pdb.residue("ALA", 1)
    pdb.gap()
    pdb.residue("MSE", 9, hetero=True)
    if after == "TER":
        pdb.add("TER")
    elif after == "ATOM":
        pdb.gap()
        pdb.residue("ALA", 20)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert ("9" in chain.residue_ids) == (after != "nothing")


def test_the_header_is_such_a_sign(pdb, write_file) -> None:
    pdb.add("SEQRES   1 A    2  ALA STA")
    pdb.add("MODRES 1ABC MSE A    9  MET  SELENOMETHIONINE")
    pdb.residue("ALA", 1)
    pdb.gap()
    pdb.residue("MSE", 9, hetero=True)
    pdb.gap()
    pdb.residue("STA", 12, hetero=True)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_names == ("ALA", "MSE", "STA")


def test_a_free_amino_acid_is_no_residue(pdb, write_file) -> None:
    pdb.residue("ALA", 1)
    pdb.residue("MSE", 2, hetero=True)
    pdb.add("TER")
    pdb.gap()
    pdb.residue("GLU", 900, hetero=True)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_ids == ("1", "2")


def test_a_free_amino_acid_of_a_later_model_does_not_matter(pdb, write_file) -> None:
    for _ in range(2):
        pdb.add("MODEL        1")
        pdb.residue("ALA", 1)
        pdb.add("TER")
        pdb.gap()
        pdb.residue("GLU", 900, hetero=True)
        pdb.add("ENDMDL")
    path = write_file(pdb.text())
    assert [read_backbones(path, model=model)[0].residue_ids for model in (1, 2)] == [("1",)] * 2


def test_caps_are_no_residues(pdb, write_file, repo_root: Path) -> None:
    (chain,) = read_backbones(repo_root / "data" / "structures" / "1as5.cif.gz")
    assert "NH2" not in chain.residue_names
    pdb.residue("ACE", 0, atoms=("C",), hetero=True)
    pdb.residue("ALA", 1)
    pdb.residue("NH2", 2, atoms=("N",), hetero=True)
    pdb.add("TER")
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_names == ("ALA",)


def test_names_from_simulation_programs_are_residues(pdb, write_file) -> None:
    for number, component in enumerate(("HSD", "CYX", "ZZZ"), start=1):
        pdb.residue(component, number)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "HCX"


def test_insertion_codes_and_negative_numbers_stay_in_file_order(pdb, write_file) -> None:
    for number, code in ((-3, ""), (52, ""), (52, "A"), (52, "B"), (7, "")):
        pdb.residue("GLY", number, insertion=code)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_ids == ("-3", "52", "52A", "52B", "7")
    assert chain.author_numbers.tolist() == [-3, 52, 52, 52, 7]
    assert chain.insertion_codes == ("", "", "A", "B", "")


def test_ter_inside_a_chain_loses_nothing(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    pdb.add("TER")
    pdb.residue("ALA", 2)
    pdb.add("TER       3      ALA A   2")
    pdb.residue("SER", 3)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "GAS"


def test_a_reused_chain_id_loses_nothing(pdb, write_file) -> None:
    for _ in range(2):
        pdb.residue("GLY", 1)
        pdb.residue("ALA", 2)
        pdb.add("TER")
    pdb.residue("SER", 1)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "GAGAS"
    assert chain.residue_ids == ("1", "2", "1", "2", "1")


def test_ter_keeps_fragments_under_one_number_apart(pdb, write_file) -> None:
    pdb.residue("GLY", 1, atoms=("N", "CA"))
    pdb.add("TER")
    pdb.residue("GLY", 1, atoms=("C",))
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.resolved.tolist() == [False, False]


def test_repeated_numbers_without_ter_lose_nothing(pdb, write_file) -> None:
    for component, number in (("GLY", 1), ("ALA", 2), ("GLY", 1), ("SER", 1)):
        pdb.residue(component, number)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "GAGS"


def test_chains_that_alternate_are_put_together(pdb, write_file) -> None:
    for number in (1, 2):
        pdb.residue("GLY", number, chain="B")
        pdb.residue("ALA", number, chain="A")
    chains = read_backbones(write_file(pdb.text()))
    assert [(chain.chain_id, chain.sequence) for chain in chains] == [("B", "GG"), ("A", "AA")]


def test_a_blank_chain_has_a_name(pdb, write_file) -> None:
    pdb.residue("GLY", 1, chain=" ")
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.chain_id == "_"


def test_an_incomplete_residue_is_listed_but_not_resolved(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    pdb.residue("ALA", 2, atoms=("N", "C"))
    pdb.residue("SER", 3, atoms=("CB",))
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.resolved.tolist() == [True, False, False]
    assert np.isfinite(chain.coords[1]).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(chain.b_factors[1:]).all()
    assert chain.b_factors[0] == 20


def test_a_chain_of_ca_atoms_is_returned_unresolved(pdb, write_file) -> None:
    for number in (1, 2, 3):
        pdb.residue("GLY", number, atoms=("CA",))
    (chain,) = read_backbones(write_file(pdb.text()))
    assert len(chain) == 3
    assert not chain.resolved.any()


def conformers(pdb, occupancies: dict[str, float], atoms=("N", "CA", "C")) -> None:
    """Add one residue with a conformer per alternate location, each shifted by its place."""
    pdb.placed += 1
    for name in atoms:
        for index, (altloc, occupancy) in enumerate(occupancies.items()):
            pdb.atom(
                name, "GLY", pdb.placed, altloc=altloc, occupancy=occupancy, shift=float(index)
            )


@pytest.mark.parametrize(
    ("occupancies", "chosen"),
    [
        ({"A": 0.3, "B": 0.7}, 1),
        ({"A": 0.7, "B": 0.3}, 0),
        ({"A": 0.5, "B": 0.5}, 0),
        ({"B": 0.5, "A": 0.5}, 0),
        ({"": 0.4, "B": 0.6}, 1),
        ({"A": 0.2, "B": 0.3, "C": 0.5}, 2),
    ],
)
def test_the_most_occupied_conformer_stands_for_a_residue(
    pdb, write_file, occupancies: dict[str, float], chosen: int
) -> None:
    conformers(pdb, occupancies)
    pdb.residue("ALA", 2)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert len(chain) == 2
    first_ca = chain.coords[0, 1] - chain.coords[1, 1]
    assert first_ca[2] == chosen


def test_conformers_are_not_mixed(pdb, write_file) -> None:
    pdb.placed = 1
    for name, occupancies in (("N", (0.6, 0.4)), ("CA", (0.1, 0.9)), ("C", (0.6, 0.4))):
        for shift, occupancy in enumerate(occupancies):
            altloc = "AB"[shift]
            pdb.atom(name, "GLY", 1, altloc=altloc, occupancy=occupancy, shift=float(shift))
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.coords[0, :, 2].tolist() == [1, 1, 1]


def test_a_complete_conformer_beats_an_occupied_fragment(pdb, write_file) -> None:
    pdb.placed = 1
    for name in ("N", "CA", "C"):
        pdb.atom(name, "GLY", 1, altloc="A", occupancy=0.2)
    pdb.atom("CA", "GLY", 1, altloc="B", occupancy=0.8, shift=1.0)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.resolved.all()
    assert chain.coords[0, :, 2].tolist() == [0, 0, 0]


def test_atoms_without_alternate_location_belong_to_every_conformer(pdb, write_file) -> None:
    pdb.placed = 1
    pdb.atom("N", "GLY", 1)
    pdb.atom("CA", "GLY", 1, altloc="A", occupancy=0.4, shift=0.0)
    pdb.atom("CA", "GLY", 1, altloc="B", occupancy=0.6, shift=1.0)
    pdb.atom("C", "GLY", 1)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.coords[0, :, 2].tolist() == [0, 1, 0]


def test_alternate_locations_listed_at_the_end_join_their_residue(pdb, write_file) -> None:
    pdb.residue("GLY", 1, altloc="A", occupancy=0.4)
    pdb.residue("ALA", 2)
    pdb.residue("GLY", 1, altloc="B", occupancy=0.6, b_factor=7.0)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.sequence == "GA"
    assert chain.b_factors.tolist() == [7, 20]


def test_one_residue_stands_at_a_position_with_two(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    pdb.residue("SER", 2, altloc="A", occupancy=0.4)
    pdb.placed -= 1
    pdb.residue("THR", 2, altloc="B", occupancy=0.6)
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.residue_names == ("GLY", "THR")
    rows = [
        f"ATOM {name[0]} {name} {alt} {component} A 1 1 {place}.0 0.0 0.0 {occupancy} 5 X"
        for component, alt, occupancy in (("SER", "A", 0.6), ("THR", "B", 0.4))
        for place, name in enumerate(("N", "CA", "C"))
    ]
    (chain,) = read_backbones(write_file(CIF_HEAD + "\n".join(rows) + "\n#\n" + ENTITIES, "m.cif"))
    assert chain.residue_names == ("SER",)
    assert chain.chain_id == "X"
    assert chain.label_chain_id == "A"
    assert chain.residue_ids == ("5",)


def test_altlocs_of_a_real_entry(repo_root: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    path = repo_root / "data" / "structures" / "3jqh.cif"
    (chain,) = read_backbones(path)
    structure = gemmi.read_structure(str(path))
    alternatives = 0
    for index, ident in enumerate(chain.residue_ids):
        atoms = [atom for atom in structure[0]["A"][ident][0] if atom.name == "CA"]
        best = max(atoms, key=lambda atom: atom.occ)
        alternatives += len(atoms) > 1
        assert np.allclose(chain.coords[index, 1], best.pos.tolist(), atol=1e-3)
    assert alternatives > 0


def free_and_bound(label_number: str, entity: str) -> list[str]:
    """Return the atoms of one GLU in mmCIF rows."""
    return [
        f"HETATM {name[0]} {name} . GLU {'A' if entity == '1' else 'B'} {entity} {label_number}"
        f" {place}.0 0.0 0.0 1.0 {label_number.replace('.', '9')} A"
        for place, name in enumerate(("N", "CA", "C"))
    ]


def test_mmcif_entities_decide_what_is_a_residue(write_file) -> None:
    rows = free_and_bound("1", "1") + free_and_bound("2", "1")
    rows += free_and_bound(".", "1") + free_and_bound(".", "2")
    (chain,) = read_backbones(write_file(CIF_HEAD + "\n".join(rows) + "\n#\n" + ENTITIES, "m.cif"))
    assert chain.sequence == "EE"


def test_mmcif_polymers_of_another_type_are_no_chains(write_file) -> None:
    text = CIF_HEAD + "\n".join(free_and_bound("1", "1") + free_and_bound("2", "1")) + "\n#\n"
    other = ENTITIES.replace("polypeptide(L)", "peptide nucleic acid")
    with pytest.raises(StructureError, match="no polypeptide chain"):
        read_backbones(write_file(text + other, "m.cif"))
    (chain,) = read_backbones(
        write_file(text + ENTITIES.replace("polypeptide(L)", "polypeptide(D)"), "m.cif")
    )
    assert len(chain) == 2


def test_mmcif_without_entities_is_read_by_its_chemistry(
    repo_root: Path, write_file: Callable[..., Path]
) -> None:
    original = repo_root / "data" / "structures" / "1a8o.cif"
    text = original.read_text().replace("_entity_poly.", "_unknown_poly.")
    (chain,) = read_backbones(write_file(text, "bare.cif"))
    (expected,) = read_backbones(original)
    assert chain.residue_ids == expected.residue_ids
    assert chain.sequence == expected.sequence


def test_unreadable_coordinates_leave_a_residue_unresolved(write_file) -> None:
    rows = [
        f"ATOM {name[0]} {name} . GLY A 1 {number} {place} 0.0 0.0 1.0 {number} A"
        for number in (1, 2)
        for name, place in (("N", "1.0"), ("CA", "nan" if number == 2 else "2.0"), ("C", "?"))
        if (number, name) != (1, "C")
    ]
    rows.append("ATOM C C . GLY A 1 3 1.0 0.0 0.0 1.0 3 A")
    (chain,) = read_backbones(write_file(CIF_HEAD + "\n".join(rows) + "\n#\n" + ENTITIES, "m.cif"))
    assert chain.resolved.tolist() == [False, False, False]
    assert np.isfinite(chain.coords).all(axis=2).tolist() == [
        [True, True, False],
        [True, False, False],
        [False, False, True],
    ]
    assert np.isnan(chain.coords[1, 1]).all()


def test_a_chain_called_na_keeps_its_name(repo_root: Path, write_file) -> None:
    text = (repo_root / "data" / "structures" / "1a8o.cif").read_text()
    lines = [
        line.replace(" A ", " NA ") if line.startswith(("ATOM", "HETATM")) else line
        for line in text.splitlines()
    ]
    (chain,) = read_backbones(write_file("\n".join(lines) + "\n", "na.cif"), chains=["NA"])
    assert chain.chain_id == "NA"
    assert len(chain) == 70
