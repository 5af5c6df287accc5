"""Under which ids does a language model read structure tokens, and which codes are its ids?"""

import re
from pathlib import Path
from typing import Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import UNRESOLVED_ID, TokenSequence
from provq_protein.vocabulary.chain_ids import NO_RESIDUE, ChainCodes, ChainIds
from provq_protein.vocabulary.checks import integers_in
from provq_protein.vocabulary.fast_tokenizer import save_fast_tokenizer
from provq_protein.vocabulary.layouts import (
    NO_CODE,
    STRUCTURE_LETTERS,
    UNUSED,
    amino_acid_of,
    layout_of,
    translation,
)

_PIECE = re.compile("<[a-z0-9]+>")
_TOKEN_POLICY = "token:"  # noqa: S105 - not a password


class Vocabulary:
    """
    The ids that a published convention gives to codes and special tokens.

    Parameters
    ----------
    name : str
        ``"esm3"``: codes, then mask, eos, bos, pad and chainbreak. ``"offset:N"``: pad, bos, eos,
        then mask and chainbreak if there is room, then the codes, from id N on. ``"saprot"``:
        bos, pad, eos, unk, mask, then all pairs of an amino acid and a structure letter.
        ``"strings"``: bos, pad, eos, unk, mask, then the codes.
    codebook_size : int
        Number of codes of the tokenizer.

    Attributes
    ----------
    name : str
        As given.
    codebook_size : int
        As given.
    special : dict from str to int
        The id of each special token, by what it is for.
    texts : tuple of str
        The text of each id. Texts of codes have equal lengths, of two characters at least, and
        special tokens stand in angle brackets, so that any sequence of ids can be told from its
        text.
    pairs : bool
        Whether an id stands for an amino acid and a code, as in ``"saprot"``.

    Raises
    ------
    TokenFormatError
        If the name is unknown, or the convention has no room for so many codes.

    Notes
    -----
    A vocabulary is about ids, not about what codes mean: a model that was trained on other
    tokens, for instance on the 3Di letters of which ``"saprot"`` has the look, understands
    nothing of them.

    Examples
    --------
    >>> vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    >>> encoded = vocabulary.codes_to_ids([7, -1, 4095])
    >>> encoded.ids.tolist()
    [4098, 7, 4096, 4095, 4097]
    >>> encoded.resolved.tolist()
    [False, True, False, True, False]
    >>> vocabulary.from_ids(encoded.ids).codes.tolist()
    [7, -1, 4095]
    >>> vocabulary.convert(encoded.ids, to="offset:4").tolist()
    [1, 11, 3, 4099, 2]
    >>> vocabulary.to_text(encoded.ids)
    '<bos>AH<mask>__<eos>'
    """

    def __init__(self, name: str, *, codebook_size: int) -> None:
        self._layout = layout_of(name, codebook_size)
        self.name = name
        self.codebook_size = int(codebook_size)
        self.special = dict(self._layout.special)
        self.texts = self._layout.texts
        self.pairs = self._layout.pairs

    @classmethod
    def named(cls, name: str, *, codebook_size: int) -> "Vocabulary":
        """
        Return the vocabulary of a convention.

        Parameters
        ----------
        name : str
            ``"esm3"``, ``"offset:N"``, ``"saprot"`` or ``"strings"``.
        codebook_size : int
            Number of codes of the tokenizer.

        Returns
        -------
        Vocabulary
            Its ids.
        """
        return cls(name, codebook_size=codebook_size)

    def __len__(self) -> int:
        """Return the number of ids, for an embedding with a row for each."""
        return len(self.texts)

    def __repr__(self) -> str:
        """Return the call that makes it."""
        return f"Vocabulary.named({self.name!r}, codebook_size={self.codebook_size})"

    def to_ids(
        self, chain: TokenSequence, *, special: bool = True, unresolved: str = "mask"
    ) -> ChainIds:
        """
        Return the ids of a chain.

        Parameters
        ----------
        chain : TokenSequence
            One chain.
        special : bool, optional
            Whether bos is put before, and eos after it.
        unresolved : str, optional
            What becomes of residues without a token: ``"mask"``, the mask token, or in pairs the
            amino acid with ``#``; ``"drop"``, nothing; ``"token:NAME"``, a special token.

        Returns
        -------
        ChainIds
            Ids, the mask that tells which of them stand for a code, and their residues.

        Raises
        ------
        TokenFormatError
            If the chain has another number of codes, or there is no such policy or token.
        """
        if chain.codebook_size != self.codebook_size:
            msg = (
                f"{' '.join(chain.source.split()) or 'tokens'}: chain {chain.chain_id}: encoded "
                f"with {chain.codebook_size} codes, but vocabulary {self.name!r} was made for "
                f"{self.codebook_size}; make it with codebook_size={chain.codebook_size}"
            )
            raise TokenFormatError(msg)
        return self.codes_to_ids(
            chain.ids, sequence=chain.sequence, special=special, unresolved=unresolved
        )

    def codes_to_ids(
        self,
        codes: ArrayLike,
        *,
        sequence: str | None = None,
        special: bool = True,
        unresolved: str = "mask",
    ) -> ChainIds:
        """
        Return the ids of the codes of a chain.

        Parameters
        ----------
        codes : array_like, shape=(residue,)
            Integers: codes, -1 for residues without one.
        sequence : str, optional
            One letter per residue. Pairs need it: without, and for letters other than those of
            the twenty amino acids, they have ``#``.
        special : bool, optional
            As of `to_ids`.
        unresolved : str, optional
            As of `to_ids`.

        Returns
        -------
        ChainIds
            As of `to_ids`.

        Raises
        ------
        TokenFormatError
            If a code is out of range, lengths differ, or there is no such policy or token.
        """
        values = integers_in(codes, what="code", low=UNRESOLVED_ID, end=self.codebook_size, of=self)
        resolved = values != UNRESOLVED_ID
        if sequence is not None and len(sequence) != len(values):
            msg = f"{len(values)} codes but the sequence has {len(sequence)} letters"
            raise TokenFormatError(msg)
        bases = self._layout.bases(sequence or "X" * len(values))
        ids = np.where(resolved, bases + values, self._without_code(unresolved, bases))
        kept = resolved | (unresolved != "drop")
        ids, resolved, positions = ids[kept], resolved[kept], np.flatnonzero(kept)
        if special:
            ends = (self.special["bos"], self.special["eos"])
            ids = np.concatenate([ends[:1], ids, ends[1:]])
            resolved = np.pad(resolved, 1)
            positions = np.pad(positions, 1, constant_values=NO_RESIDUE)
        return ChainIds(ids=ids, resolved=resolved, positions=positions)

    def from_ids(self, ids: ArrayLike, *, special: bool = True) -> ChainCodes:
        """
        Return the codes that ids stand for: the inverse of `to_ids`.

        Parameters
        ----------
        ids : array_like, shape=(id,)
            Integers.
        special : bool, optional
            Whether bos comes first and eos last, but for padding. They are taken off then. All
            other special tokens are residues without a code, chain breaks included.

        Returns
        -------
        ChainCodes
            Codes, and the mask that tells where there is one.

        Raises
        ------
        TokenFormatError
            If an id is out of range or stands for nothing, or bos or eos is not in its place.
        """
        values = self._ids(ids)
        if special:
            values = self._without_ends(values)
        codes = self._layout.codes[values]
        self._refuse(values, codes == UNUSED, "stands for no code of this codebook")
        sequence = None
        if self.pairs:
            sequence = "".join(amino_acid_of(self.texts[id]) for id in values)
        return ChainCodes(codes=codes, resolved=codes != NO_CODE, sequence=sequence)

    def convert(self, ids: ArrayLike, *, to: Union[str, "Vocabulary"]) -> NDArray[np.int64]:
        """
        Return the ids by which another vocabulary says the same.

        Parameters
        ----------
        ids : array_like
            Integers, of any shape.
        to : str or Vocabulary
            The other one; a name stands for that of as many codes.

        Returns
        -------
        ndarray, dtype=int64
            Of the shape of `ids`. What pairs say about amino acids is lost on the way to others,
            and is ``#`` on the way back.

        Raises
        ------
        TokenFormatError
            If an id is out of range, or the other vocabulary has nothing for it.
        """
        other = (
            to if isinstance(to, Vocabulary) else Vocabulary(to, codebook_size=self.codebook_size)
        )
        if other.codebook_size != self.codebook_size:
            msg = (
                f"vocabulary {self.name!r} has {self.codebook_size} codes and {other.name!r} has "
                f"{other.codebook_size}: ids of one mean nothing in the other"
            )
            raise TokenFormatError(msg)
        values = self._ids(ids, any_shape=True)
        converted = translation(self._layout, other._layout)[values]
        self._refuse(values, converted < 0, f"has no counterpart in vocabulary {other.name!r}")
        return converted

    def to_text(self, ids: ArrayLike) -> str:
        """
        Return ids as one text, without separators.

        Parameters
        ----------
        ids : array_like, shape=(id,)
            Integers.

        Returns
        -------
        str
            The texts of all ids, which `from_text` takes apart again.

        Raises
        ------
        TokenFormatError
            If an id is out of range.
        """
        return "".join(self.texts[id] for id in self._ids(ids))

    def from_text(self, text: str) -> NDArray[np.int64]:
        """
        Return the ids of a text: the inverse of `to_text`.

        Parameters
        ----------
        text : str
            Without white space.

        Returns
        -------
        ndarray, shape=(id,), dtype=int64
            Its ids.

        Raises
        ------
        TokenFormatError
            If a part of it is the text of no id.
        """
        id_of = {piece: id for id, piece in enumerate(self.texts)}
        ids: list[int] = []
        start = 0
        while start < len(text):
            match = _PIECE.match(text, start)
            piece = match[0] if match else text[start : start + self._layout.width]
            if piece not in id_of:
                msg = f"{piece!r} at character {start + 1} is no token of vocabulary {self.name!r}"
                raise TokenFormatError(msg)
            ids.append(id_of[piece])
            start += len(piece)
        return np.array(ids, dtype=np.int64)

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """
        Save a tokenizer that ``transformers.AutoTokenizer.from_pretrained`` opens.

        Parameters
        ----------
        folder : str or Path
            Made if it is absent; other files in it, such as those of a language model, stay.
        overwrite : bool, optional
            Whether tokenizer files that exist may be replaced.

        Raises
        ------
        TokenFormatError
            If the files exist, or the folder cannot be written.
        MissingExtraError
            If the extra ``plm`` is not installed.

        Notes
        -----
        That tokenizer reads what `to_text` writes, with or without white space between tokens,
        and puts bos before and eos after it.
        """
        save_fast_tokenizer(
            Path(folder),
            texts=self.texts,
            special=self.special,
            width=self._layout.width,
            overwrite=overwrite,
        )

    def _without_code(
        self, unresolved: str, bases: NDArray[np.int64]
    ) -> NDArray[np.int64] | np.int64:
        """The ids of residues if they had no code; refused whether or not a residue has none."""
        if unresolved == "drop":
            return np.int64(NO_RESIDUE)
        if unresolved == "mask" and self.pairs:
            return bases + STRUCTURE_LETTERS.index("#")
        name = unresolved.removeprefix(_TOKEN_POLICY)
        if unresolved != "mask" and name == unresolved:
            msg = f"unresolved={unresolved!r} is no policy; use 'mask', 'drop' or 'token:NAME'"
            raise TokenFormatError(msg)
        if name not in self.special:
            msg = (
                f"unresolved={unresolved!r}: vocabulary {self.name!r} has no token {name!r}, it "
                f"has {', '.join(self.special)}; use 'drop', or 'token:NAME' with one of these"
            )
            raise TokenFormatError(msg)
        return np.int64(self.special[name])

    def _without_ends(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        kept = np.flatnonzero(ids != self.special["pad"])
        body = ids[: kept[-1] + 1] if kept.size else ids[:0]
        ends = (self.special["bos"], self.special["eos"])
        if len(body) < len(ends) or (body[0], body[-1]) != ends:
            found = f"{self.texts[body[0]]} and {self.texts[body[-1]]}" if body.size else "nothing"
            msg = (
                f"expected ids from {self.texts[ends[0]]} to {self.texts[ends[1]]}, got {found}; "
                "pass special=False for ids of residues alone"
            )
            raise TokenFormatError(msg)
        return body[1:-1]

    def _ids(self, ids: ArrayLike, *, any_shape: bool = False) -> NDArray[np.int64]:
        return integers_in(ids, what="id", low=0, end=len(self), of=self, any_shape=any_shape)

    def _refuse(self, ids: NDArray[np.int64], wrong: NDArray[np.bool_], problem: str) -> None:
        found = np.flatnonzero(wrong)
        if found.size:
            id = ids.flat[found[0]]
            msg = f"id {id} ({self.texts[id]}) at position {found[0]} of {self} {problem}"
            raise TokenFormatError(msg)
