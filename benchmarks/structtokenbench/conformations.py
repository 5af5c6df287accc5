"""Which proteins are known in two conformations, and how similar are these?"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ProvqError, StructureError
from provq_protein.extras import require_extra
from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import SourceError
from structtokenbench.items import Problem
from structtokenbench.sources.archive import ChainArchive

PAIR_SETS = ("apo_holo", "fold_switching")
"""Names of the benchmark's two sets."""

# TM-score's length scale is not defined for shorter chains.
_FEWEST_RESIDUES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """
    One protein in two conformations.

    Parameters
    ----------
    id : str
        Both chains, as the source names them.
    first, second : str
        Keys of the chains in `PairSet.chains`.
    tm_score : float or None
        As the source gives it.
    """

    id: str
    first: str
    second: str
    tm_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSet:
    """
    Pairs of conformations.

    Parameters
    ----------
    name : str
        One of `PAIR_SETS`, or another.
    pairs : tuple of Pair
        In the order of the source.
    chains : mapping of str to Backbone
        Every chain that a pair names.
    listed : int
        Pairs that the source lists.
    problems : tuple of Problem
        The pairs that could not be used, and why.
    """

    name: str
    pairs: tuple[Pair, ...]
    chains: Mapping[str, Backbone]
    listed: int
    problems: tuple[Problem, ...] = ()


def pairs_from_arrays(folder: Path, name: str, *, archive: ChainArchive | None = None) -> PairSet:
    """
    Read a set of pairs from ``sets.json``, and its chains from ``backbones.npz``.

    Parameters
    ----------
    folder : Path
        Holds both files.
    name : str
        One of `PAIR_SETS`.
    archive : ChainArchive, optional
        The chains, where they are open already.

    Returns
    -------
    PairSet
        With the TM-scores of the file.

    Raises
    ------
    SourceError
        If the list is absent or malformed.
    """
    path = folder / "sets.json"
    listed = _lists(path).get(f"confswitch_{name}")
    if listed is None:
        msg = f"{path}: has no list 'confswitch_{name}'; known sets are {', '.join(PAIR_SETS)}"
        raise SourceError(msg)
    chains = archive or ChainArchive(folder)
    rows = []
    for number, row in enumerate(listed):
        if not (isinstance(row, list) and len(row) == 5):
            msg = (
                f"{path}: confswitch_{name}, entry {number}: expected [record, record, TM-score, "
                f"id, id], got {row!r}"
            )
            raise SourceError(msg)
        first, second, tm, first_id, second_id = row
        rows.append((first_id, second_id, tm, (first, second)))
    loaders = [
        (first_id, second_id, tm, [lambda r=record: chains.backbone(r) for record in records])
        for first_id, second_id, tm, records in rows
    ]
    return _pair_set(name, loaders)


def pairs_from_jsonl(
    path: Path, find: Callable[[str, str], Backbone], *, name: str | None = None
) -> PairSet:
    """
    Read a set of pairs from a file of the benchmark.

    Parameters
    ----------
    path : Path
        ``ConformationalSwitchDataset_tm_score_..._test.jsonl``; each line has ``prot1_pdb_id``,
        ``prot1_chain_id``, the same for ``prot2``, and ``tm_score`` or none.
    find : callable
        Returns the chain of an entry and a chain id; raises a `ProvqError` or `LookupError` if
        it has none.
    name : str, optional
        By default the part of the file's name that tells the two sets apart.

    Returns
    -------
    PairSet
        A pair whose structures cannot be found is a problem.

    Raises
    ------
    SourceError
        If the file cannot be read, or a line is malformed.
    """
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        row = _object(line, where)
        ids = [_identity(row, side, where) for side in ("prot1", "prot2")]
        loaders = [lambda entry=entry, chain=chain: find(entry, chain) for entry, chain in ids]
        names = [f"{entry}_{chain}" for entry, chain in ids]
        rows.append((*names, row.get("tm_score"), loaders))
    return _pair_set(name or _set_name(path), rows)


def tm_score(first: Backbone, second: Backbone) -> float:
    """
    Align two chains and return how similar they are.

    Parameters
    ----------
    first, second : Backbone
        Chains; unresolved residues are left out.

    Returns
    -------
    float
        The mean of the TM-scores normalized by each chain's length, as in the benchmark.

    Raises
    ------
    StructureError
        If a chain has fewer than five resolved residues.
    MissingExtraError
        If tmtools is not installed.
    """
    tmtools = require_extra("tmtools", extra="bench", purpose="a TM-score of two conformations")
    inputs: list[tuple[npt.NDArray[np.float64], str]] = []
    for chain in (first, second):
        kept = np.flatnonzero(chain.resolved)
        if len(kept) < _FEWEST_RESIDUES:
            msg = (
                f"chain {chain.chain_id}: {len(kept)} resolved residues, a TM-score needs "
                f"{_FEWEST_RESIDUES} or more"
            )
            raise StructureError(msg)
        letters = "".join(chain.sequence[residue] for residue in kept)
        inputs.append((chain.coords[kept, 1].astype(np.float64), letters))
    (first_ca, first_letters), (second_ca, second_letters) = inputs
    result = tmtools.tm_align(first_ca, second_ca, first_letters, second_letters)
    return float(result.tm_norm_chain1 + result.tm_norm_chain2) / 2


def _pair_set(
    name: str,
    rows: list[tuple[str, str, Any, list[Callable[[], Backbone]]]],
) -> PairSet:
    """Load both chains of each pair; a pair that lacks one is a problem."""
    pairs, problems, chains = [], [], {}
    for first, second, tm, loaders in rows:
        identity = f"{first}-{second}"
        try:
            if tm is not None and not (isinstance(tm, float | int) and 0 <= tm <= 1):
                msg = f"tm_score must be a number from 0 to 1, got {tm!r}"
                raise SourceError(msg)
            for key, load in zip((first, second), loaders, strict=True):
                if key not in chains:
                    chains[key] = load()
        except (ProvqError, LookupError, OSError) as error:
            problems.append(Problem(id=identity, reason=str(error)))
            continue
        given = None if tm is None else float(tm)
        pairs.append(Pair(id=identity, first=first, second=second, tm_score=given))
    used = {key: chains[key] for pair in pairs for key in (pair.first, pair.second)}
    return PairSet(
        name=name,
        pairs=tuple(pairs),
        chains=used,
        listed=len(rows),
        problems=tuple(problems),
    )


def _lists(path: Path) -> Mapping[str, Any]:
    return _object("\n".join(_lines(path)), str(path))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error})"
        raise SourceError(msg) from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        msg = f"{where}: is no JSON ({error})"
        raise SourceError(msg) from error
    if not isinstance(value, dict):
        msg = f"{where}: expected a JSON object, got {type(value).__name__}"
        raise SourceError(msg)
    return value


def _identity(row: Mapping[str, Any], side: str, where: str) -> tuple[str, str]:
    values = [row.get(f"{side}_{part}") for part in ("pdb_id", "chain_id")]
    if not all(isinstance(value, str) and value for value in values):
        msg = f"{where}: {side}_pdb_id and {side}_chain_id must be words, got {values}"
        raise SourceError(msg)
    return str(values[0]), str(values[1])


def _set_name(path: Path) -> str:
    return next((name for name in PAIR_SETS if name in path.name), path.stem)
