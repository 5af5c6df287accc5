"""What does a language model read of a chain: its structure, or structure and sequence?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.vocabulary.chain_ids import ChainCodes, ChainIds
from provq_protein.vocabulary.checks import integers_in
from provq_protein.vocabulary.vocabulary import Vocabulary

Template = Literal["structure", "parallel", "interleaved"]
TEMPLATES: tuple[str, ...] = get_args(Template)

# Amino acids as the ESM family of sequence models numbers them.
SEQUENCE_TEXTS = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-|", "<mask>")
SEQUENCE_PAD = SEQUENCE_TEXTS.index("<pad>")

_SEQUENCE_IDS = {text: id for id, text in enumerate(SEQUENCE_TEXTS)}
_UNKNOWN = _SEQUENCE_IDS["<unk>"]


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """
    Turn rows of tokens into what a language model reads.

    Parameters
    ----------
    vocabulary : Vocabulary
        Ids of codes and special tokens.
    template : {"structure", "parallel", "interleaved"}, optional
        Structure ids alone; with a second track of the same length for the amino acids; or one
        track in which each structure id comes after the amino acid of its residue.
    special : bool, optional
        Whether bos is put before, and eos after a chain.
    unresolved : str, optional
        What becomes of residues without a token, as of `Vocabulary.to_ids`. A residue that is
        dropped is dropped from all tracks.

    Raises
    ------
    TokenFormatError
        If there is no such template, or pairs are to be combined with amino acids again, or
        there is no such policy.

    Notes
    -----
    It takes rows of a dataset that ``provq-protein export --to datasets`` wrote, as the ``map`` of
    Hugging Face's ``datasets`` gives them (not batched), and can be sent to other processes.

    A parallel track of amino acids has the ids of ESM models, 33 in all. In an interleaved track
    they come after all ids of the vocabulary: amino acid ``n`` has the id
    ``len(vocabulary) + n``, and a model needs `size` rows.

    Examples
    --------
    >>> vocabulary = Vocabulary.named("esm3", codebook_size=512)
    >>> row = {"tokens": [7, -1], "sequence": "LG"}
    >>> inputs = ModelInputs(vocabulary=vocabulary, template="parallel")(row)
    >>> inputs["input_ids"].tolist(), inputs["sequence_ids"].tolist()
    ([514, 7, 512, 513], [0, 4, 6, 2])
    >>> interleaved = ModelInputs(vocabulary=vocabulary, template="interleaved")
    >>> interleaved(row)["input_ids"].tolist()
    [514, 521, 7, 523, 512, 513]
    """

    vocabulary: Vocabulary
    template: Template = "structure"
    special: bool = True
    unresolved: str = "mask"

    def __post_init__(self) -> None:
        """Refuse what no row could be turned into."""
        if self.template not in TEMPLATES:
            msg = f"unknown template {self.template!r}; use one of {', '.join(TEMPLATES)}"
            raise TokenFormatError(msg)
        if self.vocabulary.pairs and self.template != "structure":
            msg = (
                f"template={self.template!r}: ids of vocabulary {self.vocabulary.name!r} hold "
                "amino acids already; use template='structure'"
            )
            raise TokenFormatError(msg)
        self.vocabulary.codes_to_ids([], unresolved=self.unresolved)

    @property
    def size(self) -> int:
        """Number of ids that `input_ids` can have."""
        extra = len(SEQUENCE_TEXTS) if self.template == "interleaved" else 0
        return len(self.vocabulary) + extra

    def __call__(self, row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """
        Return what a language model reads of one row.

        Parameters
        ----------
        row : mapping
            ``tokens``: codes, -1 where there is none. ``sequence``: one letter per residue, if
            the template or the vocabulary needs it. ``codebook_size`` and ``id`` are looked at
            if they are there, other columns are not.

        Returns
        -------
        dict from str to ndarray, shape=(id,)
            ``input_ids`` (int64), ``resolved`` (bool) and ``positions`` (int64) as of
            `provq_protein.vocabulary.chain_ids.ChainIds`; and ``sequence_ids`` (int64) if the
            template is ``"parallel"``.

        Raises
        ------
        TokenFormatError
            If a column is absent, or does not fit the vocabulary.
        """
        try:
            return self._inputs(row)
        except TokenFormatError as error:
            if row.get("id") is None:
                raise
            msg = f"{row['id']}: {error}"
            raise TokenFormatError(msg) from error

    def of(self, chain: TokenSequence) -> dict[str, NDArray[Any]]:
        """
        Return what a language model reads of a chain.

        Parameters
        ----------
        chain : TokenSequence
            One chain.

        Returns
        -------
        dict from str to ndarray, shape=(id,)
            As for a row.

        Raises
        ------
        TokenFormatError
            If its codebook is not that of the vocabulary.
        """
        return self(
            {
                "id": f"{' '.join(chain.source.split()) or 'tokens'}: chain {chain.chain_id}",
                "tokens": chain.ids,
                "sequence": chain.sequence,
                "codebook_size": chain.codebook_size,
            }
        )

    def to_codes(self, ids: ArrayLike) -> ChainCodes:
        """
        Return codes and amino acids of the ids of one chain.

        Parameters
        ----------
        ids : array_like, shape=(id,)
            The `input_ids`.

        Returns
        -------
        ChainCodes
            As of `Vocabulary.from_ids`; of interleaved ids, with the sequence. Letters that the
            track cannot tell are ``X``.

        Raises
        ------
        TokenFormatError
            If an id is out of range, or amino acids and structure do not take turns.
        """
        if self.template != "interleaved":
            return self.vocabulary.from_ids(ids, special=self.special)
        values = integers_in(ids, what="id", low=0, end=self.size, of="an interleaved track")
        is_letter = values >= len(self.vocabulary)
        after = np.flatnonzero(is_letter) + 1
        structure = values[~is_letter]
        codes = self.vocabulary.from_ids(structure, special=self.special)
        expected = np.zeros(len(values), dtype=np.bool_)
        first = int(self.special)
        expected[first : first + 2 * len(codes.codes) : 2] = True
        if not np.array_equal(is_letter, expected):
            place = int(np.flatnonzero(is_letter != expected)[0])
            msg = (
                f"id {values[place]} at position {place}: amino acids and structure must take turns"
            )
            raise TokenFormatError(msg)
        letters = [SEQUENCE_TEXTS[id] for id in values[after - 1] - len(self.vocabulary)]
        sequence = "".join(letter if letter.isalpha() else "X" for letter in letters)
        return ChainCodes(codes=codes.codes, resolved=codes.resolved, sequence=sequence)

    def _inputs(self, row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        vocabulary = self.vocabulary
        size = row.get("codebook_size", vocabulary.codebook_size)
        if size != vocabulary.codebook_size:
            msg = f"encoded with {size} codes, but {vocabulary} is for another number"
            raise TokenFormatError(msg)
        needed = ["tokens"]
        if vocabulary.pairs or self.template != "structure":
            needed.append("sequence")
        for column in needed:
            if row.get(column) is None:
                msg = f"no column {column!r}, which {self.template} ids of {vocabulary} need"
                raise TokenFormatError(msg)
        sequence = row.get("sequence")
        chain = vocabulary.codes_to_ids(
            row["tokens"], sequence=sequence, special=self.special, unresolved=self.unresolved
        )
        if self.template == "interleaved":
            chain = _interleaved(chain, sequence_ids(str(sequence)) + len(vocabulary))
        inputs = {"input_ids": chain.ids, "resolved": chain.resolved, "positions": chain.positions}
        if self.template == "parallel":
            inputs["sequence_ids"] = _beside(chain, sequence_ids(str(sequence)))
        return inputs


def sequence_ids(sequence: str) -> NDArray[np.int64]:
    """
    Return amino acids in the ids of ESM models.

    Parameters
    ----------
    sequence : str
        One letter per residue.

    Returns
    -------
    ndarray, shape=(residue,), dtype=int64
        Ids, that of ``<unk>`` for a letter that these models do not have.

    Examples
    --------
    >>> sequence_ids("LAX").tolist()
    [4, 5, 24]
    """
    return np.array([_SEQUENCE_IDS.get(letter, _UNKNOWN) for letter in sequence], dtype=np.int64)


def _beside(chain: ChainIds, letters: NDArray[np.int64]) -> NDArray[np.int64]:
    """A track of amino acids; where the other one begins and ends, so does this."""
    inside = chain.positions >= 0
    track = np.full(len(chain.ids), _SEQUENCE_IDS["<eos>"], dtype=np.int64)
    track[inside] = letters[chain.positions[inside]]
    if len(inside) and not inside[0]:
        track[0] = _SEQUENCE_IDS["<cls>"]
    return track


def _interleaved(chain: ChainIds, letters: NDArray[np.int64]) -> ChainIds:
    """Before each id of a residue, that of its amino acid."""
    inside = chain.positions >= 0
    times = 1 + inside
    places = (np.cumsum(times) - times)[inside]
    ids, positions = np.repeat(chain.ids, times), np.repeat(chain.positions, times)
    resolved = np.repeat(chain.resolved, times)
    ids[places] = letters[positions[places]]
    resolved[places] = False
    return ChainIds(ids=ids, resolved=resolved, positions=positions)
