"""Is the database, byte for byte, what MMseqs2 writes for the same entries?"""

import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.export.exporting import export_tokens
from provq_protein.export.foldseek import LETTERS, to_letters
from provq_protein.tokens.formats import save_tokens


@pytest.fixture
def two_chains(make_entry, tmp_path):
    """Return a token file with two chains of a model of twenty codes."""
    common = {"codes": 20, "residue_names": ("UNK",) * 4, "author_numbers": [1, 2, 3, 4],
              "insertion_codes": ("",) * 4, "label_numbers": [1, 2, 3, 4]}  # fmt: skip
    chains = [
        make_entry(1, ids=[0, 19, -1, 1], resolved=[True, True, False, True], sequence="MkX*",
                   **common),
        make_entry(2, ids=[2, 3, 4, 5], resolved=[True] * 4, sequence="ACDE", chain_id="long",
                   source="in/e\t2.cif", **common),
    ]  # fmt: skip
    save_tokens(tmp_path / "a.npz", chains)
    return tmp_path / "a.npz"


def test_the_layout_is_that_of_mmseqs(two_chains, tmp_path) -> None:
    export_tokens([two_chains], tmp_path / "out", to="foldseek")
    content = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    content.pop("provq_export.json")
    # Compared with the output of `mmseqs tsv2db` (release 14) for the same entries.
    assert content == {
        "db": b"MKXX\n\0ACDE\n\0",
        "db.index": b"0\t0\t6\n1\t6\t6\n",
        "db.dbtype": b"\0\0\0\0",
        "db_ss": b"AYXC\n\0DEFG\n\0",
        "db_ss.index": b"0\t0\t6\n1\t6\t6\n",
        "db_ss.dbtype": b"\0\0\0\0",
        "db_h": b"e1_A\n\0e_2_long\n\0",
        "db_h.index": b"0\t0\t6\n1\t6\t10\n",
        "db_h.dbtype": b"\x0c\0\0\0",
        "db.lookup": b"0\te1_A\t0\n1\te_2_long\t1\n",
        "db.source": b"0\tin/e1.cif\n1\tin/e 2.cif\n",
    }


def test_codes_are_letters_in_order_and_absence_is_x(make_entry) -> None:
    chain = make_entry(7, codes=20)
    letters = to_letters(chain)
    assert len(letters) == len(chain)
    for letter, code in zip(letters, chain.ids.tolist(), strict=True):
        assert letter == ("X" if code < 0 else LETTERS[code])
    assert len(set(LETTERS)) == 20
    assert "X" not in LETTERS


def test_too_many_codes_are_refused_with_advice(make_entry, tmp_path) -> None:
    save_tokens(tmp_path / "a.npz", [make_entry(1, codes=21)])
    with pytest.raises(TokenFormatError, match=r"at most 20 codes; these tokens have 21.*--style"):
        export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="foldseek")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
