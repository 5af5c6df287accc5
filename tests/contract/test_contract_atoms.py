"""Which atoms stand for a residue, and what if some are absent? Each test is one sentence."""

import numpy as np
import pytest

BACKBONE = ("N", "CA", "C")


def heights(chain):
    """Return the third coordinate of N, CA and C of the first residue: its conformer's shift."""
    return chain.coords[0, :, 2].tolist()


def conformer(made, altloc, occupancy, shift, *, name="GLY", atoms=BACKBONE):
    """Add a conformer of residue 1, recognizable by its third coordinate."""
    made.placed = 0
    made.residue(name, 1, atoms=atoms, altloc=altloc, occupancy=occupancy, shift=float(shift))


def test_altloc_most_atoms(made):
    conformer(made, "A", 0.8, 1, atoms=("CA",))
    conformer(made, "B", 0.2, 2)
    assert [heights(chain) for chain in made.each()] == [[2, 2, 2]] * 4


@pytest.mark.parametrize(
    ("occupancies", "taken"),
    [((0.3, 0.7), 2), ((0.7, 0.3), 1), ((0.2, 0.3, 0.5), 3)],
)
def test_altloc_occupancy(made, occupancies, taken):
    for shift, occupancy in enumerate(occupancies, start=1):
        conformer(made, "ABC"[shift - 1], occupancy, shift)
    assert [heights(chain) for chain in made.each()] == [[taken] * 3] * 4


@pytest.mark.parametrize("letters", ["AB", "BA", "21"])
def test_altloc_first(made, letters):
    conformer(made, letters[0], 0.5, 1)
    conformer(made, letters[1], 0.5, 2)
    assert [heights(chain) for chain in made.each()] == [[1, 1, 1]] * 4


def test_altloc_not_mixed(made):
    made.placed = 1
    for name, low in (("N", 0.4), ("CA", 0.9), ("C", 0.4)):
        made.atom(name, "GLY", 1, altloc="A", occupancy=1 - low, shift=1.0)
        made.atom(name, "GLY", 1, altloc="B", occupancy=low, shift=2.0)
    assert [heights(chain) for chain in made.each()] == [[2, 2, 2]] * 4


def test_altloc_shared_atoms(made):
    made.placed = 1
    made.atom("N", "GLY", 1)
    made.atom("CA", "GLY", 1, altloc="A", occupancy=0.4, shift=1.0)
    made.atom("CA", "GLY", 1, altloc="B", occupancy=0.6, shift=2.0)
    made.atom("C", "GLY", 1)
    assert [heights(chain) for chain in made.each()] == [[0, 2, 0]] * 4


def test_altloc_per_residue(made):
    for number, occupancy in ((1, 0.7), (2, 0.3)):
        made.residue("GLY", number, altloc="A", occupancy=occupancy, shift=1.0)
        made.placed -= 1
        made.residue("GLY", number, altloc="B", occupancy=1 - occupancy, shift=2.0)
    for chain in made.each():
        assert chain.coords[:, 1, 2].tolist() == [1, 2]


def test_altloc_listed_later(made):
    conformer(made, "A", 0.4, 1)
    made.residue("ALA", 2)
    conformer(made, "B", 0.6, 2)
    for chain in made.each():
        assert chain.sequence == "GA"
        assert heights(chain) == [2, 2, 2]


def test_altloc_without_occupancy(made, read_text):
    conformer(made, "A", 0.9, 1)
    conformer(made, "B", 0.11, 2)
    for content in (made.pdb().replace("  0.11", "      "), made.cif().replace(" 0.11 ", " ? ")):
        assert heights(read_text(content)[0]) == [2, 2, 2]
    made.atoms = []
    made.placed = 0
    made.residue("GLY", 1, occupancy=0.0)
    assert all(chain.resolved.all() for chain in made.each())


def test_microheterogeneity(made):
    conformer(made, "A", 0.4, 1, name="SER")
    conformer(made, "B", 0.6, 2, name="THR")
    made.residue("GLY", 2)
    for chain in made.each():
        assert chain.residue_names == ("THR", "GLY")
        assert chain.sequence == "TG"
        assert heights(chain) == [2, 2, 2]


@pytest.mark.parametrize("missing", BACKBONE)
def test_incomplete_residue(made, missing):
    made.residue("GLY", 1)
    made.residue("ALA", 2, atoms=[name for name in BACKBONE if name != missing])
    for chain in made.each():
        assert chain.residue_ids == ("1", "2")
        assert chain.resolved.tolist() == [True, False]
        present = np.isfinite(chain.coords[1]).all(axis=1)
        assert present.tolist() == [name != missing for name in BACKBONE]


def test_side_chain_only(made):
    made.residue("GLY", 1)
    made.residue("ALA", 2, atoms=("CB", "O"))
    for chain in made.each():
        assert chain.residue_names == ("GLY", "ALA")
        assert chain.resolved.tolist() == [True, False]
        assert np.isnan(chain.coords[1]).all()


@pytest.mark.parametrize("absent", ["nan", "inf"])
def test_not_finite(made, absent):
    made.residue("GLY", 1)
    made.residue("ALA", 2)
    made.atoms[4]["xyz"] = [float(absent), 0.0, 0.0]
    for chain in made.each():
        assert chain.resolved.tolist() == [True, False]


def test_unresolved_id(made, tokenizer, make_coords):
    for number, place in enumerate(make_coords(12, 0).tolist(), start=1):
        made.placed += 1
        for name, xyz in zip(BACKBONE, place, strict=True):
            if (number, name) != (5, "C"):
                made.atom(name, "ALA", number, xyz=xyz)
    (tokens,) = tokenizer.encode([made.chain("mmCIF")])
    assert np.flatnonzero(tokens.ids == -1).tolist() == [4]
    assert np.delete(tokens.ids, 4).min() >= 0


def without_other_atoms(text):
    keep = [" N  ", " CA ", " C  "]
    return "\n".join(
        line
        for line in text.splitlines()
        if not line.startswith(("ATOM", "HETATM", "ANISOU")) or line[12:16] in keep
    )


def test_other_atoms_change_nothing(samples, tokenizer, write_file):
    text = (samples / "1a8o.pdb").read_text()
    bare = write_file("bare.pdb", without_other_atoms(text))
    assert len(bare.read_text().splitlines()) < len(text.splitlines()) - 250
    (full,), (stripped,) = tokenizer.encode([samples / "1a8o.pdb"]), tokenizer.encode([bare])
    assert stripped.ids.tolist() == full.ids.tolist()
    assert stripped.residue_names == full.residue_names


def test_unobserved_residue(made):
    made.header.append("SEQRES   1 A    3  MET GLY ALA")
    made.categories = (
        "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n"
        "1 1 MET\n1 2 GLY\n1 3 ALA\n#\n"
    )
    made.placed = 1
    made.residue("GLY", 2)
    assert [chain.residue_ids for chain in made.each()] == [("2",)] * 4


def test_termini(made):
    made.residue("GLY", 1, atoms=("N", "H1", "H2", "H3", "CA", "C", "O"))
    made.residue("ALA", 2, atoms=("N", "H", "CA", "C", "O", "OXT"))
    made.ter()
    for chain in made.each():
        assert chain.residue_ids == ("1", "2")
        assert chain.resolved.all()


def test_ca_only(made, tokenizer, write_file):
    for number in (1, 2, 3):
        made.residue("GLY", number, atoms=("CA",))
    for chain in made.each():
        assert len(chain) == 3
        assert not chain.resolved.any()
    problems = []
    path = write_file("trace.pdb", made.pdb())
    assert tokenizer.encode([path], on_problem=problems.append) == []
    assert [(one.file, one.chain_id) for one in problems] == [(str(path), "A")]
    assert "only CA atoms (3 residues)" in problems[0].reason


def test_chain_without_resolved_residue(made, tokenizer, write_file):
    made.residue("GLY", 1, atoms=("CB", "N"), chain="E")
    made.gap()
    for number in (1, 2, 3, 4):
        made.residue("ALA", number)
    problems = []
    path = write_file("two.cif", made.cif())
    found = tokenizer.encode([path], on_problem=problems.append)
    assert [one.chain_id for one in found] == ["A"]
    assert [one.chain_id for one in problems] == ["E"]
    assert "no residue (1 in the chain) has all of N, CA and C" in problems[0].reason
