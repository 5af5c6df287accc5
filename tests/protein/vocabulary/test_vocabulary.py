"""Do ids follow the published conventions, and do codes come back from them?"""

import pickle

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.vocabulary.vocabulary import Vocabulary

# Every convention, with and without room to spare.
NAMES = [("esm3", 4096), ("esm3", 1), ("offset:4", 512), ("offset:40", 512), ("saprot", 20),
         ("saprot", 7), ("strings", 4096), ("strings", 5000)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size", "special", "first"),
    [
        (
            "esm3",
            4096,
            {"mask": 4096, "eos": 4097, "bos": 4098, "pad": 4099, "chainbreak": 4100},
            0,
        ),
        ("esm3", 512, {"mask": 512, "eos": 513, "bos": 514, "pad": 515, "chainbreak": 516}, 0),
        ("offset:3", 2048, {"pad": 0, "bos": 1, "eos": 2}, 3),
        ("offset:4", 20, {"pad": 0, "bos": 1, "eos": 2, "mask": 3}, 4),
        ("saprot", 20, {"bos": 0, "pad": 1, "eos": 2, "unk": 3, "mask": 4}, 5),
        ("strings", 512, {"bos": 0, "pad": 1, "eos": 2, "unk": 3, "mask": 4}, 5),
    ],
)
def test_ids_are_where_the_convention_puts_them(name, size, special, first) -> None:
    vocabulary = Vocabulary.named(name, codebook_size=size)
    assert vocabulary.special == special
    ids = vocabulary.codes_to_ids(
        [0, size - 1], sequence="AA", special=False, unresolved="drop"
    ).ids
    assert ids.tolist() == [first, first + size - 1]
    assert len(vocabulary) == (446 if name == "saprot" else size + len(special))
    assert len(vocabulary.texts) == len(vocabulary)


def test_pairs_are_numbered_amino_acid_first_as_in_the_published_vocabulary() -> None:
    vocabulary = Vocabulary.named("saprot", codebook_size=20)
    ids = vocabulary.codes_to_ids([0, 1, 19, -1, 3], sequence="ACYWU", special=False).ids
    # Structure letters are p, y, n, w, ...; what is not known is `#`, also U, which has no row.
    assert vocabulary.to_text(ids) == "ApCyYcW##w"
    assert ids.tolist() == [5, 5 + 21 + 1, 5 + 19 * 21 + 19, 5 + 18 * 21 + 20, 5 + 20 * 21 + 3]
    back = vocabulary.from_ids(ids, special=False)
    assert back.sequence == "ACYWX"
    assert back.codes.tolist() == [0, 1, 19, -1, 3]


@pytest.mark.parametrize(("name", "size"), NAMES)
def test_codes_come_back_and_special_tokens_are_no_codes(name, size) -> None:
    vocabulary = Vocabulary.named(name, codebook_size=size)
    random = np.random.default_rng(0)
    codes = np.append(random.integers(-1, size, 300), [-1, size - 1, -1])
    for special in (True, False):
        encoded = vocabulary.codes_to_ids(codes, special=special)
        back = vocabulary.from_ids(encoded.ids, special=special)
        assert back.codes.tolist() == codes.tolist()
        assert back.resolved.tolist() == (codes >= 0).tolist()
        inside = encoded.positions >= 0
        assert encoded.resolved[inside].tolist() == (codes >= 0).tolist()
        assert not encoded.resolved[~inside].any()
    all_codes = vocabulary.codes_to_ids(np.arange(size), special=False).ids
    assert not set(all_codes.tolist()) & set(vocabulary.special.values())
    assert len(set(all_codes.tolist())) == size


@pytest.mark.parametrize(("name", "size"), NAMES)
def test_texts_are_injective_even_without_separators(name, size) -> None:
    vocabulary = Vocabulary.named(name, codebook_size=size)
    assert len(set(vocabulary.texts)) == len(vocabulary)
    codes = [text for text in vocabulary.texts if text[0] != "<"]
    assert len({len(text) for text in codes}) == 1
    assert len(codes[0]) >= 2
    ids = np.random.default_rng(1).integers(0, len(vocabulary), 500)
    assert vocabulary.from_text(vocabulary.to_text(ids)).tolist() == ids.tolist()


def test_unresolved_residues_follow_the_policy(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    chain = make_ids_chain([-1, 5, -1, 7])
    masked = vocabulary.to_ids(chain)
    assert masked.ids.tolist() == [4098, 4096, 5, 4096, 7, 4097]
    assert masked.resolved.tolist() == [False, False, True, False, True, False]
    assert masked.positions.tolist() == [-1, 0, 1, 2, 3, -1]
    dropped = vocabulary.to_ids(chain, unresolved="drop")
    assert dropped.ids.tolist() == [4098, 5, 7, 4097]
    assert dropped.resolved.tolist() == [False, True, True, False]
    assert dropped.positions.tolist() == [-1, 1, 3, -1]
    padded = vocabulary.to_ids(chain, unresolved="token:pad", special=False)
    assert padded.ids.tolist() == [4099, 5, 4099, 7]
    pairs = Vocabulary.named("saprot", codebook_size=20).codes_to_ids(
        [-1], sequence="A", unresolved="token:mask", special=False
    )
    assert pairs.ids.tolist() == [4]


def test_trailing_unresolved_residues_written_as_padding_are_not_lost() -> None:
    vocabulary = Vocabulary.named("offset:3", codebook_size=20)
    ids = vocabulary.codes_to_ids([4, -1, -1], unresolved="token:pad").ids
    padded = np.append(ids, [0, 0])
    assert vocabulary.from_ids(padded).codes.tolist() == [4, -1, -1]


def test_a_policy_that_cannot_work_is_refused_for_complete_chains_too() -> None:
    vocabulary = Vocabulary.named("offset:3", codebook_size=20)
    with pytest.raises(TokenFormatError, match=r"no token 'mask', it has pad, bos, eos"):
        vocabulary.codes_to_ids([1, 2])
    with pytest.raises(TokenFormatError, match=r"'token:nothing'.*no token 'nothing'"):
        vocabulary.codes_to_ids([1, 2], unresolved="token:nothing")
    with pytest.raises(
        TokenFormatError,
        match=r"'skip' is no policy; use 'mask', 'drop' or 'to",
    ):
        vocabulary.codes_to_ids([1, 2], unresolved="skip")


@pytest.mark.parametrize("name", ["esm4", "offset:", "offset:-3", "offset:3.0", "", "ESM3", None])
def test_an_unknown_name_is_refused_with_the_known_ones(name) -> None:
    with pytest.raises(TokenFormatError, match=r"unknown vocabulary.*esm3, offset:N, saprot"):
        Vocabulary.named(name, codebook_size=20)


def test_codebooks_that_do_not_fit_are_refused_with_the_reason() -> None:
    with pytest.raises(TokenFormatError, match=r"room for 20 codes, got 21"):
        Vocabulary.named("saprot", codebook_size=21)
    with pytest.raises(TokenFormatError, match=r"no room for pad, bos and eos"):
        Vocabulary.named("offset:2", codebook_size=20)
    for size in (0, -1, True, 1.5, "20"):
        with pytest.raises(TokenFormatError, match=r"codebook_size must be"):
            Vocabulary.named("esm3", codebook_size=size)


def test_ids_and_codes_out_of_range_are_refused_with_value_and_range() -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=512)
    with pytest.raises(TokenFormatError, match=r"id 517 at position 1 .*ids from 0 to 516"):
        vocabulary.from_ids([514, 517, 513])
    with pytest.raises(TokenFormatError, match=r"id -1 at position 0 .*ids from 0 to 516"):
        vocabulary.from_ids([-1], special=False)
    with pytest.raises(TokenFormatError, match=r"id -5 at position 2"):
        vocabulary.convert([[0, 1], [-5, 2]], to="strings")
    with pytest.raises(TokenFormatError, match=r"id 517"):
        vocabulary.to_text([517])
    with pytest.raises(TokenFormatError, match=r"code 512 at position 0 .*codes from -1 to 511"):
        vocabulary.codes_to_ids([512])
    with pytest.raises(TokenFormatError, match=r"integers, got float64"):
        vocabulary.from_ids([0.5], special=False)
    with pytest.raises(TokenFormatError, match=r"one dimension"):
        vocabulary.from_ids([[514, 513]])
    with pytest.raises(TokenFormatError, match=r"2 codes but the sequence has 1"):
        vocabulary.codes_to_ids([1, 2], sequence="A")


def test_ids_that_no_chain_has_are_refused() -> None:
    pairs = Vocabulary.named("saprot", codebook_size=7)
    with pytest.raises(TokenFormatError, match=r"id 12 \(Ag\) at position 0 .*stands for no code"):
        pairs.from_ids([12], special=False)
    with pytest.raises(TokenFormatError, match=r"<reserved5>"):
        Vocabulary.named("offset:6", codebook_size=7).from_ids([5], special=False)


@pytest.mark.parametrize("ids", [[], [4098], [4097, 4098], [1, 2], [4098, 1], [4099, 4099]])
def test_ids_without_their_ends_are_refused(ids) -> None:
    with pytest.raises(TokenFormatError, match=r"from <bos> to <eos>.*special=False"):
        Vocabulary.named("esm3", codebook_size=4096).from_ids(ids)


def test_an_empty_chain_has_its_ends_and_comes_back() -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    encoded = vocabulary.codes_to_ids([])
    assert encoded.ids.tolist() == [4098, 4097]
    assert vocabulary.from_ids(encoded.ids).codes.shape == (0,)


def test_a_chain_of_another_codebook_is_refused(make_ids_chain) -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=512)
    with pytest.raises(TokenFormatError, match=r"1abc.cif: chain A: encoded with 4096 codes"):
        vocabulary.to_ids(make_ids_chain([1, 2]))


def test_conversion_keeps_codes_and_special_tokens() -> None:
    names = ["esm3", "offset:5", "saprot", "strings"]
    codes = [3, -1, 0, 19]
    for name in names:
        mine = Vocabulary.named(name, codebook_size=20)
        ids = mine.codes_to_ids(codes).ids
        for other_name in names:
            other = Vocabulary.named(other_name, codebook_size=20)
            converted = mine.convert(np.stack([ids, ids]), to=other_name)
            assert converted.shape == (2, 6)
            assert other.from_ids(converted[0]).codes.tolist() == codes
            # Back again, except that pairs no longer know their unresolved amino acids.
            back = mine.from_ids(other.convert(converted[1], to=mine))
            assert back.codes.tolist() == codes


def test_conversion_refuses_what_the_other_vocabulary_lacks() -> None:
    vocabulary = Vocabulary.named("esm3", codebook_size=20)
    with pytest.raises(TokenFormatError, match=r"id 24 \(<chainbreak>\).*no counterpart.*'saprot'"):
        vocabulary.convert([0, 24], to="saprot")
    with pytest.raises(TokenFormatError, match=r"id 20 \(<mask>\).*no counterpart.*'offset:3'"):
        vocabulary.convert([20], to="offset:3")
    with pytest.raises(TokenFormatError, match=r"20 codes and 'esm3' has 512"):
        vocabulary.convert([0], to=Vocabulary.named("esm3", codebook_size=512))
    with pytest.raises(TokenFormatError, match=r"room for 20 codes, got 21"):
        Vocabulary.named("esm3", codebook_size=21).convert([0], to="saprot")


@pytest.mark.parametrize("text", ["AAA", "AA..", "<bos", "<nothing>AA", "AA AA"])
def test_text_of_no_token_is_refused(text) -> None:
    with pytest.raises(TokenFormatError, match=r"at character . is no token of vocabulary 'esm3'"):
        Vocabulary.named("esm3", codebook_size=4096).from_text(text)


def test_a_vocabulary_goes_to_another_process() -> None:
    vocabulary = Vocabulary.named("saprot", codebook_size=20)
    copy = pickle.loads(pickle.dumps(vocabulary))
    assert repr(copy) == "Vocabulary.named('saprot', codebook_size=20)"
    assert copy.codes_to_ids([1]).ids.tolist() == vocabulary.codes_to_ids([1]).ids.tolist()


@pytest.mark.parity
def test_special_ids_are_those_of_the_esm_package() -> None:
    constants = pytest.importorskip("esm.utils.constants.esm3", reason="needs the package esm")
    vocabulary = Vocabulary.named("esm3", codebook_size=constants.VQVAE_CODEBOOK_SIZE)
    theirs = {name.lower(): id for name, id in constants.VQVAE_SPECIAL_TOKENS.items()}
    assert vocabulary.special == theirs
