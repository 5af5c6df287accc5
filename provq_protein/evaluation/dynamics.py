"""How do the tokens of a chain, and its atoms, move over the frames of a trajectory?"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ConfigError, StructureError
from provq_protein.evaluation.token_series import TokenSeries as TokenSeries
from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.sources.kinds import kind_of
from provq_protein.sources.trajectory import trajectory_frames
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import every_backbone, read_content
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.inputs import InputProblem, OnProblem
from provq_protein.tokens.sequence import TokenSequence

_ALPHA = 1


def token_series(
    tokenizer: StructureTokenizer,
    trajectory: str | Path,
    *,
    topology: str | Path | None = None,
    chain: str | None = None,
    stride: int = 1,
    on_problem: OnProblem | None = None,
) -> TokenSeries:
    """
    Encode one chain in every frame of a trajectory.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    trajectory : str or Path
        A trajectory, or a structure file, whose models are the frames then.
    topology : str or Path, optional
        Structure file of the same atoms, for formats of trajectories that do not name them.
    chain : str, optional
        Author chain id. By default the only protein chain.
    stride : int
        Encode every so manieth frame, from the first on. The others are read and passed over.
    on_problem : callable, optional
        Called with an `InputProblem` for a frame that cannot be encoded, and for one that cannot
        be read, which ends the series. Without it, the first problem is raised.

    Returns
    -------
    TokenSeries
        With codes and fluctuations. Times are known for the formats that hold them.

    Raises
    ------
    StructureError
        If nothing can be read, no frame encoded, or the chain is not there or not the only one.
    ConfigError
        If `stride` is less than 1.
    MissingExtraError
        If a trajectory is given and mdtraj is not installed.

    Notes
    -----
    Frames of a trajectory are read in chunks and encoded one by one: what grows with their number
    are ids and masks alone. A structure file is read whole. Nothing is superposed before it is
    encoded, since ids do not depend on where a chain lies.
    """
    if stride < 1:
        msg = f"stride must be at least 1, got {stride}"
        raise ConfigError(msg)
    name = os.fspath(trajectory)
    report = on_problem or _raise
    collected = _Collected()
    for frame in _frames(name, topology, chain, report):
        if (frame.chain.model - 1) % stride == 0:
            _check_residues(frame.chain, collected.first)
            for tokens in tokenizer.encode([frame.chain], on_problem=report):
                collected.add(frame, tokens)
    return collected.series(name, tokenizer.codebook)


@dataclass(frozen=True)
class _Frame:
    """A chain in one frame, and the time of the frame in ps."""

    chain: Backbone
    time: float


@dataclass
class _Collected:
    """What is kept of the frames so far."""

    first: Backbone | None = None
    frames: list[TokenSequence] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    ids: list[npt.NDArray[np.int32]] = field(default_factory=list)
    resolved: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    fluctuation: "_Fluctuation | None" = None

    def add(self, frame: _Frame, tokens: TokenSequence) -> None:
        if self.fluctuation is None:
            self.first, self.fluctuation = frame.chain, _Fluctuation(frame.chain)
            self.frames.append(tokens)
        self.fluctuation.add(frame.chain)
        self.times.append(frame.time)
        self.ids.append(tokens.ids)
        self.resolved.append(tokens.resolved)
        self.numbers.append(frame.chain.model)

    def series(self, name: str, codebook: npt.NDArray[np.float32]) -> TokenSeries:
        if self.fluctuation is None:
            msg = f"{name}: no frame could be encoded"
            raise StructureError(msg)
        ids, resolved = np.stack(self.ids), np.stack(self.resolved)
        return replace(
            TokenSeries.from_tokens(self.frames),
            source=name,
            ids=ids,
            resolved=resolved,
            frames=np.array(self.numbers, dtype=np.int64),
            times=np.array(self.times, dtype=np.float64),
            codes=codebook[np.unique(ids[resolved])],
            rmsf=self.fluctuation.rmsf(),
        )


class _Fluctuation:
    """
    Root-mean-square fluctuation of CA, from sums over frames.

    Every frame is superposed, without reflection, on the first, over the CA atoms that both have.
    """

    def __init__(self, first: Backbone) -> None:
        self._known = first.resolved
        alphas = first.coords[:, _ALPHA].astype(np.float64)
        # From the middle of the chain, so that squares stay small.
        self._reference = alphas - alphas[self._known].mean(axis=0)
        self._count = np.zeros(len(first), dtype=np.int64)
        self._sum = np.zeros((len(first), 3))
        self._squares = np.zeros(len(first))

    def add(self, chain: Backbone) -> None:
        both = self._known & chain.resolved
        if not both.any():
            return
        alphas = chain.coords[:, _ALPHA].astype(np.float64)
        moved = apply_motion(alphas, *superpose(alphas[both], self._reference[both]))
        there = chain.resolved
        self._count[there] += 1
        self._sum[there] += moved[there]
        self._squares[there] += (moved[there] ** 2).sum(axis=-1)

    def rmsf(self) -> npt.NDArray[np.float64]:
        count = np.maximum(self._count, 1)
        variance = self._squares / count - ((self._sum / count[:, None]) ** 2).sum(axis=-1)
        # Of one place there is no fluctuation, and rounding may leave less than none.
        return np.where(self._count > 1, np.sqrt(np.maximum(variance, 0)), np.nan)


def _frames(
    name: str, topology: str | Path | None, chain: str | None, report: OnProblem
) -> Iterator[_Frame]:
    path = Path(name)
    kind = kind_of(name)
    if not path.is_file():
        msg = f"{name}: is no file; name one trajectory, or one structure file with its models"
        raise StructureError(msg)
    if kind == "trajectory":
        yield from _of_trajectory(name, path, topology, chain, report)
    elif kind in ("structure", "other"):
        yield from _of_models(name, path, chain)
    else:
        msg = f"{name}: is no trajectory and no structure file; give one of those"
        raise StructureError(msg)


def _of_trajectory(
    name: str, path: Path, topology: str | Path | None, chain: str | None, report: OnProblem
) -> Iterator[_Frame]:
    frames = trajectory_frames(name, path, None if topology is None else Path(topology))
    number = 0
    while True:
        try:
            frame = next(frames, None)
        except StructureError as error:
            reason = str(error).removeprefix(f"{name}: ")
            if number == 0:
                msg = f"{name}: {reason}"
                raise StructureError(msg) from error
            report(InputProblem(f"{name}!frame {number + 1}", None, reason))
            return
        if frame is None:
            return
        number = frame.number
        wanted = _chosen(name, [plan.chain.chain_id for plan in frame.plans], chain)
        yield _Frame(frame.chain(frame.plans[wanted]), frame.time)


def _of_models(name: str, path: Path, chain: str | None) -> Iterator[_Frame]:
    found = every_backbone(read_content(path), source=name, policy=ResiduePolicy(model="all"))
    chain_ids = list(dict.fromkeys(one.chain_id for one in found))
    wanted = chain_ids[_chosen(name, chain_ids, chain)]
    yield from (_Frame(one, math.nan) for one in found if one.chain_id == wanted)


def _chosen(name: str, chain_ids: list[str], chain: str | None) -> int:
    """Return which chain is meant."""
    if chain is None and len(chain_ids) == 1:
        return 0
    if chain in chain_ids:
        return chain_ids.index(chain)
    there = ", ".join(chain_ids)
    msg = (
        f"{name}: several protein chains ({there}); choose one of them"
        if chain is None
        else f"{name}: chain {chain}: no such protein chain; there is {there}"
    )
    raise StructureError(msg)


def _check_residues(chain: Backbone, first: Backbone | None) -> None:
    names = ("residue_ids", "residue_names")
    if first is not None and any(getattr(chain, name) != getattr(first, name) for name in names):
        msg = (
            f"{chain.source}: chain {chain.chain_id}: model {chain.model} has other residues "
            f"({len(chain)}) than model {first.model} ({len(first)}); a series needs the same"
        )
        raise StructureError(msg)


def _raise(problem: InputProblem) -> NoReturn:
    raise StructureError(str(problem))
