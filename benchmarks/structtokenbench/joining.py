"""How do labels of a source come to lie on the residues of a chain?"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from provq_protein.extras import require_extra
from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import JoinError

MINIMUM_MATCHED = 0.95


Labels = npt.NDArray[np.float32]


class Site(NamedTuple):
    """
    A residue that a source names, such as ``E439``.

    Parameters
    ----------
    letter : str
        One letter of the amino acid.
    number : int
        Author residue number.
    code : str
        Insertion code, or ``""``.
    """

    letter: str
    number: int
    code: str


def join_numbers(
    chain: Backbone,
    labels: npt.ArrayLike,
    numbers: Sequence[int],
    *,
    codes: Sequence[str] | None = None,
    name: str = "",
    minimum: float = MINIMUM_MATCHED,
) -> Labels:
    """
    Put labels on residues by author number and insertion code.

    Parameters
    ----------
    chain : Backbone
        The chain.
    labels : array_like, shape=(label,)
        Values; *NaN* where there is none.
    numbers : sequence of int
        Author residue number of each label.
    codes : sequence of str, optional
        Insertion code of each label, ``""`` for none. Without this, a number that labels and
        chain have equally often is matched in order; a number that one label has goes to the
        residue without insertion code; other repeated numbers match nothing.
    name : str
        What to call the chain in a message.
    minimum : float
        Share of the labels that must find a residue.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float32
        *NaN* on residues without a label.

    Raises
    ------
    JoinError
        If lists differ in length, or fewer labels than `minimum` find their residue.

    Examples
    --------
    >>> chain = Backbone.from_arrays(np.zeros((3, 3, 3)), author_numbers=[5, 6, 8])
    >>> join_numbers(chain, [1, 0, 1], [5, 6, 8])
    array([1., 0., 1.], dtype=float32)
    """
    values = np.asarray(labels, dtype=np.float32)
    label = name or chain.chain_id
    if values.ndim != 1 or len(numbers) != len(values):
        msg = f"{label}: {values.size} labels with {len(numbers)} residue numbers"
        raise JoinError(msg)
    if codes is not None and len(codes) != len(values):
        msg = f"{label}: {values.size} labels with {len(codes)} insertion codes"
        raise JoinError(msg)
    plain = [int(number) for number in numbers]
    if codes is None:
        pairs = _match_in_order(plain, _numbers_of(chain), chain.insertion_codes)
    else:
        keys = list(zip(plain, codes, strict=True))
        residues = list(zip(_numbers_of(chain), chain.insertion_codes, strict=True))
        pairs = _match_in_order(keys, residues, None)
    return _placed(chain, values, pairs, label, minimum)


def join_sequence(
    chain: Backbone,
    labels: npt.ArrayLike,
    sequence: str,
    *,
    name: str = "",
    minimum: float = MINIMUM_MATCHED,
) -> Labels:
    """
    Put labels on residues by aligning the sequence that they were given for.

    Parameters
    ----------
    chain : Backbone
        The chain.
    labels : array_like, shape=(label,)
        Values; *NaN* where there is none.
    sequence : str
        One letter per label.
    name : str
        What to call the chain in a message.
    minimum : float
        Share of the labels that must be aligned with a residue of the same letter.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float32
        *NaN* on residues that no label is aligned with. A label that is aligned with another
        letter is used, but not counted as matched.

    Raises
    ------
    JoinError
        If lengths differ, or fewer labels than `minimum` are matched.
    MissingExtraError
        If an alignment is needed and Biopython is not installed.

    Notes
    -----
    Global alignment with BLOSUM62, gap costs 11 and 1, end gaps free. Of several best alignments
    the first is taken.
    """
    values = np.asarray(labels, dtype=np.float32)
    label = name or chain.chain_id
    if values.shape != (len(sequence),):
        msg = f"{label}: {values.size} labels for a sequence of {len(sequence)}"
        raise JoinError(msg)
    if sequence.upper() == chain.sequence.upper():
        return values.copy()
    if not sequence or not len(chain):
        msg = f"{label}: nothing to align: {len(sequence)} labels, {len(chain)} residues"
        raise JoinError(msg)
    pairs = _aligned(sequence.upper(), chain.sequence.upper())
    same = [
        (source, target)
        for source, target in pairs
        if sequence[source].upper() == chain.sequence[target].upper()
    ]
    _check_share(values, same, label, minimum, "are aligned with the same residue")
    return _placed(chain, values, pairs, label, 0.0)


def join_positions(
    chain: Backbone, labels: npt.ArrayLike, *, name: str = "", minimum: float = MINIMUM_MATCHED
) -> Labels:
    """
    Put labels on residues that their source counts from 1, whatever the authors' numbers are.

    Parameters
    ----------
    chain : Backbone
        The chain.
    labels : array_like, shape=(label,)
        Values in the order of the source's own model of the chain; *NaN* where there is none.
    name : str
        What to call the chain in a message.
    minimum : float
        Share of the labels that must find a residue.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float32
        *NaN* on residues without a label.

    Raises
    ------
    JoinError
        If fewer labels than `minimum` find their residue.

    Notes
    -----
    With as many labels as residues, they are in the same order. With as many as the author
    numbers span, the first is that of the first residue. Otherwise the source's count can only
    be that of the authors: comparing with author numbers in the first two cases would shift all
    labels of a chain that does not start at 1.
    """
    values = np.asarray(labels, dtype=np.float32)
    if values.shape == (len(chain),):
        return values.copy()
    numbers = _numbers_of(chain)
    first = 1
    if starts_elsewhere(chain) and numbers[-1] - numbers[0] + 1 == len(values):
        first = numbers[0]
    count = list(range(first, first + len(values)))
    return join_numbers(chain, values, count, name=name, minimum=minimum)


def starts_elsewhere(chain: Backbone) -> bool:
    """
    Return whether author numbers rise throughout, from another number than 1.

    Parameters
    ----------
    chain : Backbone
        The chain.

    Returns
    -------
    bool
        False as well where numbers repeat or fall.
    """
    numbers = chain.author_numbers
    return bool(len(numbers) and numbers[0] != 1 and np.all(np.diff(numbers) > 0))


def join_sites(
    chain: Backbone,
    sites: Sequence[Site],
    *,
    name: str = "",
    minimum: float = MINIMUM_MATCHED,
) -> Labels:
    """
    Label the residues that a list names 1, and all others 0.

    Parameters
    ----------
    chain : Backbone
        The chain.
    sites : sequence of Site
        Residues by letter, author number and insertion code.
    name : str
        What to call the chain in a message.
    minimum : float
        Share of the sites that must be a residue of the chain, with the same letter.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float32
        0 and 1.

    Raises
    ------
    JoinError
        If there are no sites, or fewer than `minimum` are in the chain.

    Examples
    --------
    >>> chain = Backbone.from_arrays(np.zeros((2, 3, 3)), sequence="DE", author_numbers=[438, 439])
    >>> join_sites(chain, [Site("E", 439, "")])
    array([0., 1.], dtype=float32)
    """
    label = name or chain.chain_id
    if not sites:
        msg = f"{label}: no residue is named"
        raise JoinError(msg)
    places = {
        key: at
        for at, key in enumerate(zip(_numbers_of(chain), chain.insertion_codes, strict=True))
    }
    pairs = []
    for source, site in enumerate(sites):
        target = places.get((site.number, site.code))
        # X is what the chain says of a residue that it does not know.
        if target is not None and chain.sequence[target] in (site.letter, "X"):
            pairs.append((source, target))
    ones = np.ones(len(sites), dtype=np.float32)
    placed = _placed(chain, ones, pairs, label, minimum)
    return np.nan_to_num(placed, nan=0.0).astype(np.float32)


def _numbers_of(chain: Backbone) -> list[int]:
    return chain.author_numbers.tolist()


def _match_in_order(
    labels: Sequence[Hashable], residues: Sequence[Hashable], codes: Sequence[str] | None
) -> list[tuple[int, int]]:
    """Pair equal keys; repeated ones in order if there are equally many on both sides."""
    sources: dict[Hashable, list[int]] = defaultdict(list)
    targets: dict[Hashable, list[int]] = defaultdict(list)
    for at, key in enumerate(labels):
        sources[key].append(at)
    for at, key in enumerate(residues):
        targets[key].append(at)
    pairs: list[tuple[int, int]] = []
    for key, places in sources.items():
        found = targets.get(key, [])
        if codes is not None and len(places) == 1 < len(found):
            found = [at for at in found if not codes[at]]
        if len(places) == len(found):
            pairs += zip(places, found, strict=True)
    return sorted(pairs)


def _aligned(sequence: str, reference: str) -> list[tuple[int, int]]:
    purpose = "joining labels by sequence alignment"
    align: Any = require_extra("Bio.Align", extra="bench", purpose=purpose)
    matrices: Any = require_extra("Bio.Align.substitution_matrices", extra="bench", purpose=purpose)
    matrix = matrices.load("BLOSUM62")
    aligner = align.PairwiseAligner(mode="global", substitution_matrix=matrix)
    aligner.open_gap_score, aligner.extend_gap_score = -11.0, -1.0
    aligner.end_gap_score = 0.0
    # Letters such as U and O, which the matrix does not know, are scored as unknown residues.
    known = set(matrix.alphabet)
    first, second = (
        "".join(letter if letter in known else "X" for letter in text)
        for text in (sequence, reference)
    )
    blocks_first, blocks_second = aligner.align(first, second)[0].aligned
    return [
        (int(begin) + step, int(other) + step)
        for (begin, end), (other, _) in zip(blocks_first, blocks_second, strict=True)
        for step in range(int(end) - int(begin))
    ]


def _check_share(
    values: Labels, pairs: Sequence[tuple[int, int]], name: str, minimum: float, verb: str
) -> None:
    labelled = ~np.isnan(values)
    total = int(labelled.sum())
    matched = sum(bool(labelled[source]) for source, _ in pairs)
    if total and matched < minimum * total:
        msg = (
            f"{name}: {matched} of {total} labelled residues ({100 * matched / total:.1f} %) "
            f"{verb}, expected at least {100 * minimum:g} %; are labels and structure of the "
            "same chain and numbering?"
        )
        raise JoinError(msg)


def _placed(
    chain: Backbone,
    values: Labels,
    pairs: Sequence[tuple[int, int]],
    name: str,
    minimum: float,
) -> Labels:
    _check_share(values, pairs, name, minimum, "are in the chain")
    placed = np.full(len(chain), np.nan, dtype=np.float32)
    for source, target in pairs:
        placed[target] = values[source]
    return placed
