"""Are the names of decoded files telling, safe and distinct?"""

import pytest

from provq_protein.cli.naming import output_names
from provq_protein.tokens.sequence import TokenSequence


def named(source: str, chain_id: str) -> TokenSequence:
    return TokenSequence(
        ids=[], resolved=[], sequence="", residue_names=(), author_numbers=[], insertion_codes=(),
        label_numbers=[], chain_id=chain_id, label_chain_id="A", source=source, model=1,
        fingerprint="0" * 16, codebook_size=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "chain_id", "expected"),
    [
        ("1abc.cif", "A", "1abc_A.cif"),
        ("folder/1abc.cif.gz", "AA-2", "1abc_AA-2.cif"),
        ("C:\\data\\1ABC.BCIF.GZ", "a", "1ABC_a.cif"),
        ("AF-P12345-F1-model_v4.pdb", "A", "AF-P12345-F1-model_v4_A.cif"),
        ("1abc.v2.ent", "_", "1abc.v2__.cif"),
        ("T1024", "A", "T1024_A.cif"),
        ("", "A", "chain_A.cif"),
        (".cif", "A", "chain_A.cif"),
        (".hidden.pdb", "A", "hidden_A.cif"),
        ("my file*.pdb", "A", "my_file__A.cif"),
        ("1abc.cif", "../A", "1abc_.._A.cif"),
        ("1abc.cif", "β", "1abc_β.cif"),
    ],
)
def test_a_name_is_made_of_input_and_chain(source, chain_id, expected) -> None:
    assert output_names([named(source, chain_id)]) == [expected]


def test_names_never_differ_in_case_alone() -> None:
    chains = [
        "A",
        "a",
        "A",
        "a-2",
        "A-2",
        "\N{LATIN SMALL LETTER LONG S}",
        "s",
        "\u00e9",
        "e\u0301",
    ]
    names = output_names(named("1abc.cif", chain) for chain in chains)
    assert names[0] == "1abc_A.cif"
    assert names[1] == "1abc_a-2.cif"
    from unicodedata import normalize

    assert len({normalize("NFKC", name.casefold()) for name in names}) == len(chains)


def test_entries_of_the_same_name_in_different_folders_are_told_apart() -> None:
    chains = [named("a/1abc.cif", "A"), named("b/1abc.pdb", "A"), named("c/1ABC.cif", "A")]
    assert output_names(chains) == ["1abc_A.cif", "1abc_A-2.cif", "1ABC_A-3.cif"]
