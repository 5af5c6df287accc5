"""Do joined chains come apart again, and is what could not come apart refused?"""

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.vocabulary.joined_chains import join_chains, split_chains
from provq_protein.vocabulary.vocabulary import Vocabulary


@pytest.mark.parametrize("name", ["esm3", "offset:5", "offset:9"])
@pytest.mark.parametrize("special", [True, False])
def test_chains_come_apart_as_they_were(name, special, make_ids_chain) -> None:
    chains = [make_ids_chain(ids) for ids in ([7, -1, 4095], [0], [-1, 3])]
    vocabulary = Vocabulary.named(name, codebook_size=4096)
    joined = join_chains(vocabulary, chains, special=special)
    found = split_chains(vocabulary, joined.ids, special=special)
    assert [part.codes.tolist() for part in found] == [chain.ids.tolist() for chain in chains]
    for part, chain in zip(found, chains, strict=True):
        np.testing.assert_array_equal(part.resolved, chain.resolved)


def test_ids_are_those_of_esm3_with_one_break_between_chains(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    joined = join_chains(vocabulary, [make_ids_chain([5, -1]), make_ids_chain([6])])
    # Mask 4096, eos 4097, bos 4098, chain break 4100.
    assert joined.ids.tolist() == [4098, 5, 4096, 4100, 6, 4097]
    assert joined.resolved.tolist() == [False, True, False, False, True, False]
    assert joined.positions.tolist() == [-1, 0, 1, -1, 0, -1]
    assert joined.chains.tolist() == [-1, 0, 0, -1, 1, -1]


def test_residues_that_are_dropped_leave_positions_and_chains(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("offset:5", codebook_size=4096)
    chains = [make_ids_chain([-1, 5]), make_ids_chain([6])]
    joined = join_chains(vocabulary, chains, special=False, unresolved="drop")
    assert joined.ids.tolist() == [10, 4, 11]
    assert joined.positions.tolist() == [1, -1, 0]
    with pytest.raises(TokenFormatError, match=r"1abc\.cif: chain A: no residue of it is left"):
        join_chains(vocabulary, [chains[0], make_ids_chain([-1])], unresolved="drop")


def test_padding_is_not_a_chain(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    ids = join_chains(vocabulary, [make_ids_chain([5]), make_ids_chain([6])]).ids
    padded = np.concatenate([ids, [vocabulary.special["pad"]] * 3])
    assert [part.codes.tolist() for part in split_chains(vocabulary, padded)] == [[5], [6]]


@pytest.mark.parametrize(("name", "codes"), [("offset:4", 64), ("strings", 64), ("saprot", 20)])
def test_a_vocabulary_without_chain_breaks_is_refused(name, codes, make_ids_chain) -> None:
    vocabulary = Vocabulary.named(name, codebook_size=codes)
    chains = [make_ids_chain([5], codes=codes)] * 2
    with pytest.raises(TokenFormatError, match="has no token for chain breaks"):
        join_chains(vocabulary, chains)
    with pytest.raises(TokenFormatError, match="has no token for chain breaks"):
        split_chains(vocabulary, [5], special=False)


def test_what_would_be_ambiguous_is_refused(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    one = make_ids_chain([5])
    with pytest.raises(TokenFormatError, match="chain breaks stand between chains"):
        join_chains(vocabulary, [one, one], unresolved="token:chainbreak")
    with pytest.raises(TokenFormatError, match="at least one chain"):
        join_chains(vocabulary, [])
    with pytest.raises(TokenFormatError, match="at least one chain"):
        join_chains(vocabulary, one)
    with pytest.raises(TokenFormatError, match="encode them with one model"):
        join_chains(vocabulary, [one, make_ids_chain([6], fingerprint="f" * 16)])
