"""Do labels lie on the residues they are meant for, whatever the numbering?"""

import numpy as np
import pytest

from structtokenbench.errors import JoinError
from structtokenbench.joining import (
    Site,
    join_numbers,
    join_positions,
    join_sequence,
    join_sites,
)
from structtokenbench.residue_ranges import in_ranges

NAN = np.nan


def test_numbers_with_gaps_and_disorder_do_not_shift_labels(chain_of):
    chain = chain_of("ACDEF", numbers=[-2, -1, 5, 7, 6])
    found = join_numbers(chain, [1, 2, 3, 4, 5], [5, 6, 7, -1, -2])
    np.testing.assert_array_equal(found, [5, 4, 1, 3, 2])


def test_a_permutation_of_labels_and_numbers_changes_nothing(chain_of):
    chain = chain_of("ACDEFGHIKL", numbers=[3, 4, 8, 9, 10, 11, 12, 40, 41, -7])
    values, order = np.arange(10.0), np.random.default_rng(3).permutation(10)
    numbers = chain.author_numbers
    np.testing.assert_array_equal(join_numbers(chain, values, numbers), values)
    np.testing.assert_array_equal(join_numbers(chain, values[order], numbers[order]), values)


def test_residues_without_a_label_are_nan_and_missing_residues_are_tolerated(chain_of):
    chain = chain_of("A" * 30, numbers=np.arange(2, 32))
    found = join_numbers(chain, np.ones(25), np.arange(1, 26))
    assert np.isnan(found[24:]).all()
    assert (found[:24] == 1).all()


def test_too_few_matches_name_the_chain_and_the_numbers(chain_of):
    message = (
        r"1abc_A: 2 of 4 labelled residues \(50.0 %\) are in the chain, expected at least 95 %"
    )
    with pytest.raises(JoinError, match=message):
        join_numbers(chain_of("ACD"), [0, 1, 0, 1], [2, 3, 4, 5], name="1abc_A")
    # A label that is not there need not find its residue.
    join_numbers(chain_of("ACD"), [0, 1, NAN, NAN], [2, 3, 4, 5])


def test_insertion_codes(chain_of):
    chain = chain_of("ACDE", numbers=[51, 52, 52, 53], codes=["", "", "A", ""])
    given = join_numbers(chain, [1, 2], [52, 52], codes=["A", ""])
    np.testing.assert_array_equal(given, [NAN, 2, 1, NAN])
    # Without codes, a number that is there equally often is matched in order.
    np.testing.assert_array_equal(join_numbers(chain, [1, 2, 3, 4], [51, 52, 52, 53]), [1, 2, 3, 4])
    # One label for two residues goes to the one without a code.
    np.testing.assert_array_equal(join_numbers(chain, [7, 8], [52, 53]), [NAN, 7, NAN, 8])
    # Three labels for two residues cannot be told apart.
    with pytest.raises(JoinError, match="0 of 3"):
        join_numbers(chain, [1, 2, 3], [52, 52, 52])


def test_lists_of_different_length_are_refused(chain_of):
    with pytest.raises(JoinError, match="3 labels with 2 residue numbers"):
        join_numbers(chain_of("ACD"), [1, 0, 1], [1, 2])
    with pytest.raises(JoinError, match="2 labels for a sequence of 3"):
        join_sequence(chain_of("ACD"), [1, 0], "ACD")


def test_labels_that_count_from_one(chain_of):
    """ATLAS counts from 1; the authors of the entry may not."""
    shifted = chain_of("ACDEF", numbers=[6, 7, 8, 9, 10])
    np.testing.assert_array_equal(join_positions(shifted, [1, 2, 3, 4, 5]), [1, 2, 3, 4, 5])
    jumping = chain_of("ACDEF", numbers=[6, 7, 9, 10, 40])
    np.testing.assert_array_equal(join_positions(jumping, [1, 2, 3, 4, 5]), [1, 2, 3, 4, 5])
    # The same number of labels as author numbers span: a residue is unresolved inside.
    gapped = chain_of("A" * 39, numbers=[*range(5, 15), *range(16, 45)])
    found = join_positions(gapped, np.arange(1, 41))
    assert found[9] == 10
    assert found[10] == 12
    # A chain of other residues at both ends: the count is that of the authors.
    short = chain_of("A" * 39, numbers=range(2, 41))
    assert join_positions(short, np.arange(1, 42))[0] == 2


def test_sequences_are_aligned(chain_of):
    pytest.importorskip("Bio")
    source = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKA"
    values = np.arange(len(source), dtype=float)
    # The structure lacks two residues, has a tag and one mutation.
    letters = "GSHM" + source[1:20] + source[22:40] + "W" + source[41:]
    found = join_sequence(chain_of(letters), values, source)
    expected = [NAN, NAN, NAN, 0, *range(1, 20), *range(22, len(source))]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(JoinError, match="are aligned with the same residue"):
        join_sequence(chain_of("W" * 40), values, source)


def test_equal_sequences_need_no_alignment(chain_of, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "Bio.Align", None)
    np.testing.assert_array_equal(join_sequence(chain_of("ACD"), [1, NAN, 0], "acd"), [1, NAN, 0])
    with pytest.raises(ImportError, match=r"provq\[bench\]"):
        join_sequence(chain_of("ACD"), [1, 0, 1, 1], "ACDE")


def test_sites_must_be_the_amino_acid_that_the_source_says(chain_of):
    chain = chain_of("ADEX", numbers=[1, 2, 2, 3], codes=["", "", "A", ""])
    found = join_sites(chain, [Site("E", 2, "A"), Site("K", 3, "")])
    np.testing.assert_array_equal(found, [0, 0, 1, 1])
    with pytest.raises(JoinError, match="1abc_A: 1 of 2 labelled"):
        join_sites(chain, [Site("E", 2, "A"), Site("G", 1, "")], name="1abc_A")
    with pytest.raises(JoinError, match="no residue is named"):
        join_sites(chain, [])


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (["-5--3"], "110000000"),
        (["-5-20"], "111111110"),
        (["6-20", "-3--3"], "010001110"),
        (["20-20"], "000001110"),
        (["20A-20"], "000000110"),
        (["20-20A"], "000001100"),
        (["100-200"], "000000001"),
        ([""], "111111111"),
        ([], "111111111"),
    ],
)
def test_ranges(chain_of, ranges, expected):
    numbers, codes = [-5, -3, 0, 1, 5, 20, 20, 20, 100], ["", "", "", "", "", "", "A", "B", ""]
    mask = in_ranges(chain_of("ACDEFGHIK", numbers=numbers, codes=codes), ranges)
    assert "".join(map(str, mask.astype(int))) == expected


@pytest.mark.parametrize("text", ["6", "6:100", "A:6-100", "6-", "20-6", "x-y", "6-100,120-130"])
def test_what_is_no_range_is_refused(chain_of, text):
    with pytest.raises(JoinError, match="1abc_A: residue range"):
        in_ranges(chain_of("ACD"), [text], name="1abc_A")
