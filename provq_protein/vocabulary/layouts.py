"""Which ids and texts do published conventions give to codes and special tokens?"""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.text import ALPHABET, characters_per_token, to_fixed_width

CONVENTIONS = ("esm3", "offset:N", "saprot", "strings")

# What `Layout.codes` says of ids that stand for no code: a special token, or an unresolved
# residue; or nothing at all, because no chain of this codebook has them.
NO_CODE = -1
UNUSED = -2

# The two halves of a pair, in the order of their ids; `#` is what is not known.
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY#"
STRUCTURE_LETTERS = "pynwrqhgdlvtmfsaeikc#"

_AFTER_THE_CODES = ("mask", "eos", "bos", "pad", "chainbreak")
_BEFORE_THE_CODES = ("pad", "bos", "eos", "mask", "chainbreak")
# As the ESM family of sequence models has them, where the first one is written `<cls>`.
_OF_SEQUENCE_MODELS = ("bos", "pad", "eos", "unk", "mask")
_FEWEST_BEFORE = 3
_PAIR_CODES = len(STRUCTURE_LETTERS) - 1
_OFFSET = re.compile(r"offset:(\d{1,6})", re.ASCII)


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """
    What each id of a vocabulary stands for.

    Parameters
    ----------
    texts : tuple of str
        The text of each id; no two are equal.
    special : dict from str to int
        The id of each special token, by what it is for: ``"mask"``, ``"bos"``, and so on.
    codes : ndarray, shape=(id,), dtype=int32
        The code of each id, `NO_CODE` or `UNUSED`.
    first : int
        The id of code 0; in a vocabulary of pairs, with the first amino acid.
    width : int
        Number of characters of the text of a code.
    pairs : bool
        Whether an id stands for an amino acid and a code.
    """

    texts: tuple[str, ...]
    special: dict[str, int]
    codes: NDArray[np.int32]
    first: int
    width: int
    pairs: bool = False

    def bases(self, sequence: str) -> NDArray[np.int64]:
        """
        Return the id that code 0 has at each residue.

        Parameters
        ----------
        sequence : str
            One letter per residue. Only pairs depend on it; letters other than those of the
            twenty amino acids are ``#`` there.

        Returns
        -------
        ndarray, shape=(residue,), dtype=int64
            Ids.
        """
        if not self.pairs:
            return np.full(len(sequence), self.first, dtype=np.int64)
        # Not found is -1, which is the place of `#`, counted from the end.
        rows = [AMINO_ACIDS.find(letter) % len(AMINO_ACIDS) for letter in sequence]
        return self.first + np.array(rows, dtype=np.int64) * len(STRUCTURE_LETTERS)


def layout_of(name: str, codebook_size: int) -> Layout:
    """
    Lay out the ids of a convention for a codebook.

    Parameters
    ----------
    name : str
        One of `CONVENTIONS`, with a number in place of ``N``.
    codebook_size : int
        Number of codes; at least 1.

    Returns
    -------
    Layout
        What each id stands for.

    Raises
    ------
    TokenFormatError
        If the name is unknown, or the convention has no room for so many codes.

    Examples
    --------
    >>> layout_of("esm3", 4096).special
    {'mask': 4096, 'eos': 4097, 'bos': 4098, 'pad': 4099, 'chainbreak': 4100}
    >>> layout_of("offset:3", 2048).special
    {'pad': 0, 'bos': 1, 'eos': 2}
    >>> layout_of("saprot", 20).texts[:8]
    ('<cls>', '<pad>', '<eos>', '<unk>', '<mask>', 'Ap', 'Ay', 'An')
    """
    size = _codebook_size(codebook_size)
    if name == "esm3":
        return _single(_AFTER_THE_CODES, size, codes_first=True)
    if name == "strings":
        return _single(_OF_SEQUENCE_MODELS, size, bos="<cls>")
    if name == "saprot":
        return _pairs(size)
    number = _OFFSET.fullmatch(name) if isinstance(name, str) else None
    if number is None:
        msg = f"unknown vocabulary {name!r}; use one of {', '.join(CONVENTIONS)}"
        raise TokenFormatError(msg)
    return _single(_names_before(int(number[1])), size)


def translation(mine: Layout, other: Layout) -> NDArray[np.int64]:
    """
    Return the other layout's id for each id of mine.

    Parameters
    ----------
    mine, other : Layout
        Of codebooks of the same size.

    Returns
    -------
    ndarray, shape=(id,), dtype=int64
        Ids, -1 where the other layout has none.
    """
    used = mine.codes != UNUSED
    if mine.pairs and other.pairs:
        return np.where(used, np.arange(len(used)), -1)
    is_code = mine.codes >= 0
    table = np.where(is_code, other.bases("X" * len(used)) + mine.codes, -1)
    if mine.pairs:
        # An amino acid without a code; those of special tokens are set below.
        table[mine.codes == NO_CODE] = other.special.get("mask", -1)
    for name, id in mine.special.items():
        table[id] = other.special.get(name, -1)
    return table


def amino_acid_of(text: str) -> str:
    """
    Return the amino acid of a pair.

    Parameters
    ----------
    text : str
        The text of an id in a layout of pairs.

    Returns
    -------
    str
        One letter; ``X`` for ``#`` and for special tokens.

    Examples
    --------
    >>> [amino_acid_of(text) for text in ("Ap", "#p", "<eos>")]
    ['A', 'X', 'X']
    """
    return text[0] if text[0].isalpha() else "X"


def _names_before(number: int) -> tuple[str, ...]:
    """Special tokens for the ids below an offset; ids without a purpose are reserved."""
    if number < _FEWEST_BEFORE:
        msg = (
            f"vocabulary 'offset:{number}' has no room for pad, bos and eos, which take ids 0, 1 "
            f"and 2; use offset:{_FEWEST_BEFORE} or more, or `TokenSequence.to_plm` for ids "
            "without special tokens"
        )
        raise TokenFormatError(msg)
    reserved = range(len(_BEFORE_THE_CODES), number)
    return (*_BEFORE_THE_CODES[:number], *(f"reserved{id}" for id in reserved))


def _single(
    names: Sequence[str], size: int, *, codes_first: bool = False, bos: str = "<bos>"
) -> Layout:
    """One id per code, and special tokens before or after all of them."""
    # With one character, a code could not be told from an amino acid.
    width = max(2, characters_per_token(size))
    text = to_fixed_width(np.arange(size, dtype=np.int32), len(ALPHABET) ** width)
    code_texts = [text[start : start + width] for start in range(0, len(text), width)]
    special_texts = [bos if name == "bos" else f"<{name}>" for name in names]
    special_codes = [UNUSED if name.startswith("reserved") else NO_CODE for name in names]
    codes = list(range(size))
    start, first = (size, 0) if codes_first else (0, len(names))
    return Layout(
        texts=tuple(code_texts + special_texts if codes_first else special_texts + code_texts),
        special={
            name: start + place
            for place, name in enumerate(names)
            if special_codes[place] == NO_CODE
        },
        codes=np.array(
            codes + special_codes if codes_first else special_codes + codes, dtype=np.int32
        ),
        first=first,
        width=width,
    )


def _pairs(size: int) -> Layout:
    if size > _PAIR_CODES:
        msg = (
            f"vocabulary 'saprot' writes a residue as an amino acid and one of {_PAIR_CODES} "
            f"structure letters, so it has room for {_PAIR_CODES} codes, got {size}; use 'esm3', "
            "'strings' or 'offset:N', or a model with fewer codes"
        )
        raise TokenFormatError(msg)
    special = _OF_SEQUENCE_MODELS
    per_letter = [
        *range(size),
        *[UNUSED] * (_PAIR_CODES - size),
        NO_CODE,
    ]
    return Layout(
        texts=(
            *("<cls>" if name == "bos" else f"<{name}>" for name in special),
            *(amino_acid + letter for amino_acid in AMINO_ACIDS for letter in STRUCTURE_LETTERS),
        ),
        special={name: id for id, name in enumerate(special)},
        codes=np.array([NO_CODE] * len(special) + per_letter * len(AMINO_ACIDS), dtype=np.int32),
        first=len(special),
        width=2,
        pairs=True,
    )


def _codebook_size(value: object) -> int:
    try:
        size = operator.index(value)  # pyright: ignore[reportArgumentType] - checked here
    except TypeError:
        size = 0
    if size < 1 or isinstance(value, bool):
        msg = f"codebook_size must be an integer of at least 1, got {value!r}"
        raise TokenFormatError(msg)
    return size
