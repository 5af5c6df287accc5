"""What are residues and chains called, and in which order are they? Each test is one sentence."""

import numpy as np
import pytest

EVERY_FORMAT = ("PDB", "mmCIF", "mmCIF without entities", "BinaryCIF")


def test_author_numbers(made):
    for number, code in ((7, ""), (52, "A"), (-1, "")):
        made.residue("GLY", number, insertion=code)
    for chain in made.each():
        assert chain.residue_ids == ("7", "52A", "-1")
        assert chain.author_numbers.tolist() == [7, 52, -1]
        assert chain.insertion_codes == ("", "A", "")


def test_author_numbers_absent(made, read_text):
    made.placed = 4
    made.residue("GLY", 90, chain="B", label_chain="L")
    made.residue("GLY", 91, chain="B", label_chain="L")
    unknown = made.cif().replace(" 90 B ", " ? . ").replace(" 91 B ", " ? . ")
    renamed = made.cif().replace(".auth_seq_id", ".other_id").replace(".auth_asym", ".other_asym")
    for text in (unknown, renamed):
        (chain,) = read_text(text)
        assert chain.residue_ids == ("5", "6")
        assert chain.chain_id == "L"


def test_label_numbers(made):
    for number in (5, 6, 9):
        made.placed = number + 1
        made.residue("GLY", number)
    expected = {kind: [7, 8, 11] for kind in EVERY_FORMAT} | {"PDB": [1, 2, 3]}
    # The second chain begins again at 1 in a PDB file.
    made.residue("GLY", 1, chain="B")
    for kind in EVERY_FORMAT:
        first, second = made.chains(kind)
        assert first.label_numbers.tolist() == expected[kind]
        assert second.label_numbers.tolist() == ([1] if kind == "PDB" else [12])


def test_insertion_codes(made):
    for code in ("", "B", "A"):
        made.residue("GLY", 52, insertion=code)
    assert [chain.residue_ids for chain in made.each()] == [("52", "52B", "52A")] * 4


def test_negative_numbers(made):
    for number in (-11, -1, 0, 1):
        made.residue("GLY", number)
    assert [chain.residue_ids for chain in made.each()] == [("-11", "-1", "0", "1")] * 4


def test_numbers_may_run_backwards(made):
    for number in (3, 2, 900, 1):
        made.residue("GLY", number)
    assert [chain.residue_ids for chain in made.each()] == [("3", "2", "900", "1")] * 4


def test_repeated_numbers(made):
    for name, number in (("GLY", 1), ("ALA", 1), ("GLY", 2), ("GLY", 1)):
        made.residue(name, number)
    for chain in made.each():
        assert chain.sequence == "GAGG"
        assert chain.residue_ids == ("1", "1", "2", "1")


def test_repeated_numbers_and_names(made):
    # The residues of the other tests are nearer to each other than real ones.
    for height in (0.0, 3.8, 7.6):
        made.residue("GLY", 1, shift=height)
    made.residue("GLY", 2)
    assert [chain.residue_ids for chain in made.each()] == [("1", "1", "1", "2")] * 4


def test_large_numbers(made):
    for number in (9999, "A000", "A001"):
        made.residue("GLY", number)
    assert made.chain("PDB").residue_ids == ("9999", "10000", "10001")


def test_gaps(made):
    for number in (1, 2, 30):
        made.residue("GLY", number)
    for chain in made.each():
        assert len(chain) == 3
        assert chain.author_numbers.tolist() == [1, 2, 30]


def test_chain_is_author_id(made):
    made.residue("GLY", 1, chain="H", label_chain="C")
    made.residue("GLY", 1, chain="L", label_chain="A")
    for kind in EVERY_FORMAT:
        found = [(chain.chain_id, chain.label_chain_id) for chain in made.chains(kind)]
        assert found == ([("H", "H"), ("L", "L")] if kind == "PDB" else [("H", "C"), ("L", "A")])


def test_label_chains_under_one_author_id(made):
    made.residue("GLY", 1, label_chain="B")
    made.residue("ALA", 2, label_chain="B")
    made.residue("SER", 1, label_chain="C", position=1)
    made.residue("THR", 2, label_chain="C", position=2)
    for kind in EVERY_FORMAT[1:]:
        chain = made.chain(kind)
        assert chain.sequence == "GAST"
        assert chain.residue_ids == ("1", "2", "1", "2")
        assert chain.label_chain_id == "B"


def test_ter_inside_chain(made):
    for number in (1, 2, 3):
        made.residue("GLY", number)
        made.ter()
    assert made.chain("PDB").residue_ids == ("1", "2", "3")


def test_reused_chain_id(made):
    for _ in range(2):
        made.residue("GLY", 1)
        made.residue("ALA", 2)
        made.ter()
    chain = made.chain("PDB")
    assert chain.sequence == "GAGA"
    assert chain.residue_ids == ("1", "2", "1", "2")


def test_ter_separates_residues(made):
    made.residue("GLY", 1, atoms=("N", "CA"))
    made.ter()
    made.residue("GLY", 1, atoms=("C",))
    assert made.chain("PDB").resolved.tolist() == [False, False]


def test_interleaved_chains(made):
    for number in (1, 2):
        made.residue("GLY", number, chain="B")
        made.residue("ALA", number, chain="A")
    for kind in EVERY_FORMAT:
        found = [(chain.chain_id, chain.sequence) for chain in made.chains(kind)]
        assert found == [("B", "GG"), ("A", "AA")]


def test_chain_order(made):
    made.free("HOH", 9, atoms=("O",), chain="B")
    for chain in "CAB":
        made.residue("GLY", 1, chain=chain)
    for kind in EVERY_FORMAT:
        assert [chain.chain_id for chain in made.chains(kind)] == ["C", "A", "B"]


def test_residue_order(made):
    names = ("TRP", "ALA", "GLY", "CYS")
    for number, name in zip((4, 1, 3, 2), names, strict=True):
        made.residue(name, number)
    assert [chain.residue_names for chain in made.each()] == [names] * 4


def test_chain_case(made):
    made.residue("GLY", 1, chain="A")
    made.residue("ALA", 1, chain="a")
    for kind in EVERY_FORMAT:
        found = [(chain.chain_id, chain.sequence) for chain in made.chains(kind)]
        assert found == [("A", "G"), ("a", "A")]


def test_chain_called_na(made):
    made.residue("GLY", 1, chain="NA")
    for kind in EVERY_FORMAT[1:]:
        assert [chain.chain_id for chain in made.chains(kind)] == ["NA"]


@pytest.mark.parametrize("name", ["AA", "A-2", "Heavy1", "0"])
def test_chain_with_long_id(made, name):
    made.residue("GLY", 1, chain=name)
    for kind in EVERY_FORMAT[1:]:
        chain = made.chain(kind)
        assert (chain.chain_id, chain.label_chain_id) == (name, name)


def test_chain_without_id(made):
    made.residue("GLY", 1, chain=" ")
    assert made.chain("PDB").chain_id == "_"


def test_identical_chains(made):
    for chain in "AB":
        made.residue("GLY", 1, chain=chain)
        made.residue("ALA", 2, chain=chain)
        made.ter()
    for kind in EVERY_FORMAT:
        first, second = made.chains(kind)
        assert first.sequence == second.sequence == "GA"
        assert not np.array_equal(first.coords, second.coords)
