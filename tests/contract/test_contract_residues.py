"""What is a residue, and which letter does a modified one have? Each test is one sentence."""

import numpy as np
import pytest

from provq_protein.errors import StructureError

DECLARED = ("mmCIF", "BinaryCIF")
UNDECLARED = ("PDB", "mmCIF without entities")
SIMULATION_NAMES = ("HSD H", "HSP H", "HID H", "HIE H", "CYX C", "CYM C", "ASH D", "GLH E", "LYN K")


def only_glycine(chain):
    return chain.residue_names == ("GLY",)


@pytest.mark.parametrize("kind", ["polypeptide(L)", "polypeptide(D)", "cyclic-pseudo-peptide"])
def test_polymer_declared(made, kind):
    made.entity_types["1"] = kind
    made.residue("GLY", 1)
    made.residue("LIG", 2, hetero=True)
    made.free("GLU", 3)
    made.atom("N", "GLU", 4, position=".", hetero=True)
    for chain in made.each(DECLARED):
        assert chain.residue_names == ("GLY", "LIG")


@pytest.mark.parametrize(
    "kind", ["polydeoxyribonucleotide", "peptide nucleic acid", "polysaccharide(D)", "other"]
)
def test_polymer_of_another_type(made, kind):
    made.entity_types["3"] = kind
    made.residue("GLY", 1)
    made.residue("ALA", 1, entity="3", chain="B")
    for chain in made.each(DECLARED):
        assert only_glycine(chain)


def test_polymer_undeclared(made):
    made.residue("GLY", 1)
    made.residue("MSE", 2)
    made.residue("ALA", 3, atoms=("N",))
    for chain in made.each(UNDECLARED):
        assert chain.residue_names == ("GLY", "MSE", "ALA")


def test_unknown_component(made):
    made.residue("GLY", 1)
    made.residue("ZZZ", 2)
    made.residue("YYY", 3, atoms=("N", "CA"))
    made.residue("DA", 4)
    for chain in made.each(UNDECLARED):
        assert chain.residue_names == ("GLY", "ZZZ")


def test_caps_are_no_residues(made):
    made.residue("ACE", 0, atoms=("C", "O", "CH3"), hetero=True)
    made.residue("GLY", 1)
    made.residue("NH2", 2, atoms=("N",), hetero=True)
    made.residue("NME", 3, atoms=("N", "C"))
    made.ter()
    assert all(map(only_glycine, made.each()))


@pytest.mark.parametrize("hetero", [True, False])
def test_calcium_is_no_residue(made, hetero):
    made.residue("GLY", 1)
    made.free("CA", 2, atoms=("CA",), hetero=hetero)
    made.ter()
    assert all(map(only_glycine, made.each()))


@pytest.mark.parametrize("name", ["HOH", "DOD", "WAT"])
def test_water_is_no_residue(made, name):
    made.residue("GLY", 1)
    made.free(name, 2, atoms=("O",))
    made.free(name, 3, atoms=("O",), hetero=False)
    made.ter()
    assert all(map(only_glycine, made.each()))


def test_ligand_is_no_residue(made):
    made.residue("GLY", 1)
    made.free("LIG", 2)
    made.ter()
    assert all(map(only_glycine, made.each()))


def test_sugar_is_no_residue(made):
    made.residue("GLY", 1)
    made.free("NAG", 2, atoms=("C1", "C2", "N2", "O5"))
    made.ter()
    made.residue("ALA", 3)
    for chain in made.each():
        assert chain.residue_names == ("GLY", "ALA")


def test_nucleic_acid_is_no_residue(made):
    made.entity_types["3"] = "polydeoxyribonucleotide"
    for number, name in enumerate(("DA", "DT", "U", "5MU"), start=1):
        made.residue(name, number, atoms=("P", "C1'"), entity="3", chain="B")
    made.residue("GLY", 1)
    assert all(map(only_glycine, made.each()))


def test_free_amino_acid(made):
    made.residue("GLY", 1)
    made.ter()
    made.free("GLU", 900)
    assert all(map(only_glycine, made.each()))


def test_peptides_of_any_length(made):
    made.residue("GLY", 1)
    assert [len(chain) for chain in made.each()] == [1] * 4


def test_hetatm_in_polymer(made):
    for number, name in enumerate(("MSE", "ALA", "SEP", "GLY", "TPO"), start=1):
        made.residue(name, number, hetero=name not in ("ALA", "GLY"))
    for chain in made.each():
        assert chain.residue_names == ("MSE", "ALA", "SEP", "GLY", "TPO")
        assert chain.resolved.all()


def test_hetatm_before_ter(made, read_text):
    made.residue("GLY", 1)
    made.gap()
    made.residue("MSE", 9, hetero=True)
    assert only_glycine(made.chain("PDB"))
    made.ter()
    assert made.chain("PDB").residue_names == ("GLY", "MSE")


def test_hetatm_between_residues(made):
    made.residue("GLY", 1)
    made.gap()
    made.residue("MSE", 9, hetero=True)
    made.gap()
    made.residue("ALA", 20)
    for chain in made.each(UNDECLARED):
        assert chain.residue_names == ("GLY", "MSE", "ALA")


def test_hetatm_bonded(made):
    made.residue("GLY", 1)
    made.residue("MSE", 2, hetero=True)
    for chain in made.each(UNDECLARED):
        assert chain.residue_names == ("GLY", "MSE")
    # C and N are then 1.9 and 2.1 Angstrom apart.
    for steps, expected in ((0.8, 3), (0.9, 2)):
        made.placed = 2 + steps
        made.residue("MSE", 3, hetero=True, position=3)
        distance = np.subtract(made.atoms[-3]["xyz"], made.atoms[5]["xyz"])
        assert round(float(np.linalg.norm(distance)), 1) == (1.9 if expected == 3 else 2.1)
        assert [len(chain) for chain in made.each(UNDECLARED)] == [expected] * 2
        del made.atoms[-3:]


@pytest.mark.parametrize(
    "line",
    ["SEQRES   1 A    2  GLY STA", "MODRES 1ABC STA A    9  STA  STATINE"],
)
def test_hetatm_in_header(made, line):
    made.residue("GLY", 1)
    made.gap()
    made.residue("STA", 9, hetero=True)
    made.header.append(line.replace(" A ", " B "))
    assert only_glycine(made.chain("PDB"))
    made.header.append(line)
    assert made.chain("PDB").residue_names == ("GLY", "STA")


def test_hetatm_without_sign(made):
    made.residue("GLY", 1)
    made.gap()
    made.residue("MSE", 2, hetero=True)
    assert all(map(only_glycine, made.each(UNDECLARED)))
    assert all(len(chain) == 2 for chain in made.each(DECLARED))


@pytest.mark.parametrize(
    ("name", "letter"),
    [("MSE", "M"), ("SEP", "S"), ("TPO", "T"), ("PTR", "Y"), ("HYP", "P"), ("CSO", "C")],
)
def test_parent_letter(made, name, letter):
    made.residue("GLY", 1)
    made.residue(name, 2, hetero=True)
    assert [chain.sequence for chain in made.each()] == [f"G{letter}"] * 4


def test_no_parent_letter(made):
    made.residue("GLY", 1)
    made.residue("ZZZ", 2)
    assert [chain.sequence for chain in made.each()] == ["GX"] * 4


def test_own_letters(made):
    for number, name in enumerate(("SEC", "PYL", "ASX", "GLX", "UNK"), start=1):
        made.residue(name, number)
    assert [chain.sequence for chain in made.each()] == ["UOBZX"] * 4


def test_component_name_is_kept(made):
    names = ("MSE", "HSD", "ZZZ", "DAL")
    for number, name in enumerate(names, start=1):
        made.residue(name, number)
    assert [chain.residue_names for chain in made.each()] == [names] * 4


@pytest.mark.parametrize("partner", ["GLY", "DLE"])
def test_d_amino_acids(made, partner):
    made.residue("DAL", 1, hetero=True)
    made.residue(partner, 2, hetero=partner != "GLY")
    for chain in made.each():
        assert chain.sequence == {"GLY": "AG", "DLE": "AL"}[partner]
        assert np.allclose(chain.coords[0], [one["xyz"] for one in made.atoms[:3]], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "letter"),
    [tuple(pair.split()) for pair in SIMULATION_NAMES],
)
def test_simulation_names(made, name, letter):
    made.residue("GLY", 1)
    made.residue(name, 2)
    assert [chain.sequence for chain in made.each()] == [f"G{letter}"] * 4


def test_fused_residue(made):
    made.residue("PHE", 64)
    made.residue("CRO", 66, atoms=("N1", "CA1", "C1", "N3", "CA3", "C3"), hetero=True)
    made.residue("VAL", 68)
    for chain in made.each():
        assert chain.residue_ids == ("64", "66", "68")
        assert chain.resolved.tolist() == [True, False, True]


def test_no_protein(made):
    made.entity_types["3"] = "polyribonucleotide"
    made.residue("A", 1, atoms=("P",), entity="3")
    made.free("HOH", 2, atoms=("O",))
    made.free("GLU", 3)
    for kind in (*DECLARED, *UNDECLARED):
        with pytest.raises(StructureError, match=r"no polypeptide chain; .* 1 nucleic-acid chain"):
            made.chains(kind)
