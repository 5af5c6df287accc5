"""What are the tokens of one chain over the frames of a trajectory, and how much do they move?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import UNRESOLVED_ID, TokenSequence

_FRAMES_AT_ONCE = 256
_PER_RESIDUE = (
    "residue_names",
    "author_numbers",
    "insertion_codes",
    "label_numbers",
    "sequence",
    "rmsf",
)
_SHARED = (
    "sequence",
    "residue_names",
    "insertion_codes",
    "chain_id",
    "label_chain_id",
    "fingerprint",
    "codebook_size",
    "context",
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenSeries:
    """
    The tokens of one chain, frame by frame.

    Parameters
    ----------
    ids : ndarray, shape=(frame, residue), dtype=int32
        Codes; -1 where `resolved` is False.
    resolved : ndarray, shape=(frame, residue), dtype=bool
        Where the frame has N, CA and C.
    frames : ndarray, shape=(frame,), dtype=int64
        Numbers of the frames in the trajectory, from 1, increasing.
    times : ndarray, shape=(frame,), dtype=float64
        In ps; *NaN* where not known.
    sequence : str
        One letter per residue.
    residue_names : tuple of str
        Component names.
    author_numbers : ndarray, shape=(residue,), dtype=int32
        Author residue numbers.
    insertion_codes : tuple of str
        Insertion codes, ``""`` for none.
    label_numbers : ndarray, shape=(residue,), dtype=int32
        As in `TokenSequence`.
    chain_id, label_chain_id : str
        Names of the chain.
    source : str
        The trajectory.
    fingerprint : str
        Of the model that encoded.
    codebook_size : int
        Of that model.
    codes : ndarray, shape=(distinct id, dim), dtype=float32, optional
        Code vectors of the ids that occur, by increasing id. None if they are not known, and
        distances between codes with them.
    rmsf : ndarray, shape=(residue,), dtype=float64
        Root-mean-square fluctuation of CA about its mean place, in Angstrom, all frames being
        superposed on the first; *NaN* where not known.

    Raises
    ------
    TokenFormatError
        If there is no frame, shapes disagree, or an id is no code.

    Examples
    --------
    >>> chain = TokenSequence(
    ...     ids=[3, 0],
    ...     resolved=[True, True],
    ...     sequence="MG",
    ...     residue_names=("MET", "GLY"),
    ...     author_numbers=[1, 2],
    ...     insertion_codes=("", ""),
    ...     label_numbers=[1, 2],
    ...     chain_id="A",
    ...     label_chain_id="A",
    ...     source="run.xtc!frame 1",
    ...     model=1,
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> from dataclasses import replace
    >>> series = TokenSeries.from_tokens([chain, replace(chain, ids=[3, 1], model=2)])
    >>> series.source, series.changes.tolist(), series.changed_from_first.tolist()
    ('run.xtc', [0, 1], [0.0, 0.5])
    """

    ids: npt.NDArray[np.int32]
    resolved: npt.NDArray[np.bool_]
    frames: npt.NDArray[np.int64]
    times: Floats
    sequence: str
    residue_names: tuple[str, ...]
    author_numbers: npt.NDArray[np.int32]
    insertion_codes: tuple[str, ...]
    label_numbers: npt.NDArray[np.int32]
    chain_id: str
    label_chain_id: str
    source: str
    fingerprint: str
    codebook_size: int
    codes: npt.NDArray[np.float32] | None
    rmsf: Floats

    def __post_init__(self) -> None:
        """Refuse arrays that do not describe one chain over frames."""
        if self.ids.ndim != 2 or len(self.ids) == 0:
            self._fail(f"ids must have shape (frame, residue) with a frame, got {self.ids.shape}")
        count, length = self.ids.shape
        for name in ("frames", "times"):
            self._check_length(name, count)
        for name in _PER_RESIDUE:
            self._check_length(name, length)
        if self.resolved.shape != self.ids.shape:
            self._fail(f"ids have shape {self.ids.shape}, resolved has {self.resolved.shape}")
        if (np.diff(self.frames) <= 0).any():
            self._fail("the numbers of the frames do not increase")
        is_code = (self.ids >= 0) & (self.ids < self.codebook_size)
        if not np.where(self.resolved, is_code, self.ids == UNRESOLVED_ID).all():
            self._fail(f"an id is none of the {self.codebook_size} codes, or contradicts resolved")
        if self.codes is not None and len(self.codes) != len(self.code_ids):
            self._fail(f"{len(self.codes)} codes for {len(self.code_ids)} different ids")

    def _check_length(self, name: str, expected: int) -> None:
        found = len(getattr(self, name))
        if found != expected:
            self._fail(f"{name} has length {found}, expected {expected}")

    def _fail(self, problem: str) -> NoReturn:
        msg = f"{self.source or 'series'}: chain {self.chain_id}: {problem}"
        raise TokenFormatError(msg)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.ids)

    @classmethod
    def from_tokens(
        cls,
        tokens: Sequence[TokenSequence],
        *,
        codebook: npt.NDArray[np.float32] | None = None,
    ) -> "TokenSeries":
        """
        Return the series of the frames of a token file.

        Parameters
        ----------
        tokens : sequence of TokenSequence
            One chain in increasing order of `TokenSequence.model`, which numbers the frames.
        codebook : ndarray, shape=(code, dim), dtype=float32, optional
            `StructureTokenizer.codebook` of the model that encoded.

        Returns
        -------
        TokenSeries
            Without times and fluctuations, which token files do not hold.

        Raises
        ------
        TokenFormatError
            If there is no frame, or they are not frames of one chain under one model.
        """
        if not tokens:
            msg = "no tokens to make a series of; give those of at least one frame"
            raise TokenFormatError(msg)
        first = tokens[0]
        source = trajectory_of(first.source)
        for one in tokens:
            _check_same_chain(first, one, trajectory_of(one.source) == source)
        ids = np.stack([one.ids for one in tokens])
        resolved = np.stack([one.resolved for one in tokens])
        return cls(
            ids=ids,
            resolved=resolved,
            frames=np.array([one.model for one in tokens], dtype=np.int64),
            times=np.full(len(tokens), np.nan),
            sequence=first.sequence,
            residue_names=first.residue_names,
            author_numbers=first.author_numbers,
            insertion_codes=first.insertion_codes,
            label_numbers=first.label_numbers,
            chain_id=first.chain_id,
            label_chain_id=first.label_chain_id,
            source=source,
            fingerprint=first.fingerprint,
            codebook_size=first.codebook_size,
            codes=None if codebook is None else codebook[np.unique(ids[resolved])],
            rmsf=np.full(len(first), np.nan),
        )

    @property
    def residue_ids(self) -> tuple[str, ...]:
        """Author number and insertion code of each residue."""
        pairs = zip(self.author_numbers.tolist(), self.insertion_codes, strict=True)
        return tuple(f"{number}{code}" for number, code in pairs)

    @cached_property
    def code_ids(self) -> npt.NDArray[np.int32]:
        """The ids that occur, increasing: int32 (distinct id,)."""
        return np.unique(self.ids[self.resolved])

    @cached_property
    def pairs(self) -> npt.NDArray[np.int64]:
        """How often a residue is resolved in a frame and the one before: int64 (residue,)."""
        return (self.resolved[1:] & self.resolved[:-1]).sum(axis=0, dtype=np.int64)

    @cached_property
    def changes(self) -> npt.NDArray[np.int64]:
        """How often the id differs from that of the frame before: int64 (residue,)."""
        both = self.resolved[1:] & self.resolved[:-1]
        return (both & (self.ids[1:] != self.ids[:-1])).sum(axis=0, dtype=np.int64)

    @property
    def change_share(self) -> Floats:
        """`changes` divided by `pairs`: float64 (residue,), *NaN* where there is no pair."""
        return _quotient(self.changes, self.pairs)

    @cached_property
    def distinct(self) -> npt.NDArray[np.int64]:
        """Number of different codes: int64 (residue,)."""
        return np.array([len(ids) for ids, _ in self._shares], dtype=np.int64)

    @cached_property
    def perplexity(self) -> Floats:
        """Perplexity of the codes over frames: float64 (residue,), *NaN* if never resolved."""
        values = np.full(len(self.sequence), np.nan)
        for residue, (ids, share) in enumerate(self._shares):
            if len(ids):
                values[residue] = np.exp(-(share * np.log(share)).sum())
        return values

    @cached_property
    def code_fluctuation(self) -> Floats:
        """
        Root-mean-square distance of the codes from their mean over frames: float64 (residue,).

        What `rmsf` is for atoms; *NaN* where never resolved, or `codes` are not known.
        """
        values = np.full(len(self.sequence), np.nan)
        for residue, (ids, share) in enumerate(self._shares):
            if self.codes is not None and len(ids):
                codes = self.codes[np.searchsorted(self.code_ids, ids)].astype(np.float64)
                away = codes - share @ codes
                values[residue] = np.sqrt(share @ (away**2).sum(axis=-1))
        return values

    @cached_property
    def shifts(self) -> npt.NDArray[np.float32]:
        """
        Distance between the codes of a frame and of the one before: float32 (frame - 1, residue).

        In codebook space, where near codes stand for nearly the same backbone; *NaN* where a
        residue is not resolved in both, or `codes` are not known.
        """
        return self._distances(slice(None, -1))

    @property
    def mean_shift(self) -> Floats:
        """Mean of `shifts` over frames: float64 (residue,), *NaN* where there is none."""
        known = ~np.isnan(self.shifts)
        sums = np.where(known, self.shifts, 0).sum(axis=0, dtype=np.float64)
        return _quotient(sums, known.sum(axis=0))

    @cached_property
    def from_first(self) -> npt.NDArray[np.float32]:
        """Distance between the codes of a frame and of the first: float32 (frame, residue)."""
        return self._distances(slice(0, 1))

    @property
    def changed_from_first(self) -> Floats:
        """Share of residues whose id is not that of the first frame: float64 (frame,)."""
        both = self.resolved & self.resolved[0]
        changed = both & (self.ids != self.ids[0])
        return _quotient(changed.sum(axis=1), both.sum(axis=1))

    @property
    def spread(self) -> float:
        """Root-mean-square distance of two codes drawn from all frames and residues."""
        if self.codes is None or not self.resolved.any():
            return float("nan")
        counts = np.bincount(np.searchsorted(self.code_ids, self.ids[self.resolved]))
        share = (counts / counts.sum())[:, None]
        away = self.codes - (share * self.codes).sum(axis=0)
        return float(np.sqrt(2 * (share * away**2).sum()))

    @cached_property
    def _shares(self) -> list[tuple[npt.NDArray[np.int32], Floats]]:
        """The ids of each residue, and in which share of its frames it has them."""
        columns = zip(self.ids.T, self.resolved.T, strict=True)
        found = [np.unique(ids[known], return_counts=True) for ids, known in columns]
        return [(ids, counts / max(1, counts.sum())) for ids, counts in found]

    def _distances(self, others: slice) -> npt.NDArray[np.float32]:
        """Return distances of codes to those of the frame before, or of the first frame."""
        consecutive = others.start is None
        ids, resolved = (a[1:] if consecutive else a for a in (self.ids, self.resolved))
        other_ids = np.broadcast_to(self.ids[others], ids.shape)
        both = resolved & self.resolved[others]
        found = np.full(ids.shape, np.nan, dtype=np.float32)
        if self.codes is None:
            return found
        # By chunks: the vectors of all frames at once could fill memory.
        for start in range(0, len(ids), _FRAMES_AT_ONCE):
            part = slice(start, start + _FRAMES_AT_ONCE)
            known = both[part]
            places = [np.searchsorted(self.code_ids, a[part][known]) for a in (ids, other_ids)]
            away = self.codes[places[0]] - self.codes[places[1]]
            found[part][known] = np.linalg.norm(away, axis=-1)
        return found


def trajectory_of(source: str) -> str:
    """
    Return the trajectory of a frame.

    Parameters
    ----------
    source : str
        For instance ``"run.xtc!frame 12"``.

    Returns
    -------
    str
        ``"run.xtc"``; what names no frame, as it is.
    """
    name, mark, number = source.rpartition("!frame ")
    return name if mark and number.isdecimal() else source


def _quotient(numerator: npt.ArrayLike, denominator: npt.NDArray[np.int64]) -> Floats:
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)


def _check_same_chain(first: TokenSequence, one: TokenSequence, same_source: bool) -> None:
    differing = [name for name in _SHARED if getattr(one, name) != getattr(first, name)]
    if not np.array_equal(one.author_numbers, first.author_numbers):
        differing.append("author_numbers")
    if not same_source:
        differing.append("source")
    if differing:
        msg = (
            f"{one.source or 'tokens'}: chain {one.chain_id}: {', '.join(differing)} differ from "
            f"those of {first.source or 'the first frame'}: chain {first.chain_id}; give the "
            "frames of one chain"
        )
        raise TokenFormatError(msg)
