"""Is a chain called the same everywhere, and are equal names noticed?"""

import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.chain_names import UniqueNames, chain_name, chain_path


@pytest.mark.parametrize(
    ("source", "name", "path"),
    [
        ("1abc.cif", "1abc_A", "1abc.cif_A"),
        ("a/b/1abc.cif.gz", "1abc_A", "a/b/1abc.cif.gz_A"),
        ("C:\\x\\1abc.pdb.zst", "1abc_A", "C_/x/1abc.pdb.zst_A"),
        (
            "h.tar!in/AF-Q1-F1-model_v4.cif",
            "AF-Q1-F1-model_v4_A",
            "h.tar!in/AF-Q1-F1-model_v4.cif_A",
        ),
        ("bad\udce9 name.ENT", "bad__name_A", "bad__name.ENT_A"),
        (".hidden.bcif", "hidden_A", ".hidden.bcif_A"),
        ("", "chain_A", "chain_A"),
        ("1abc.tar", "1abc.tar_A", "1abc.tar_A"),
    ],
)
def test_the_name_comes_from_file_and_chain(source, name, path, make_chain) -> None:
    assert chain_name(make_chain(source=source)) == name
    assert chain_path(make_chain(source=source)) == path


def test_models_and_odd_chain_ids_are_told_apart(make_chain) -> None:
    assert chain_name(make_chain(model=38)) == "1abc_A.38"
    assert chain_name(make_chain(chain_id="A b\t")) == "1abc_A_b_"
    assert chain_name(make_chain(chain_id="链")) == "1abc_链"


def test_the_second_chain_of_a_name_is_refused_with_the_first(make_chain) -> None:
    names = UniqueNames()
    assert names.add(make_chain(source="x/1abc.cif"), file="one.npz") == "1abc_A"
    with pytest.raises(TokenFormatError, match=r"'1abc_A': x/1abc.*one\.npz.* y/1abc.*two\.npz"):
        names.add(make_chain(source="y/1abc.pdb"), file="two.npz")
    paths = UniqueNames("path")
    assert paths.add(make_chain(source="x/1abc.cif"), file="") == "x/1abc.cif_A"
    assert paths.add(make_chain(source="y/1abc.cif"), file="") == "y/1abc.cif_A"
    with pytest.raises(TokenFormatError, match="unknown rule"):
        UniqueNames("other")
