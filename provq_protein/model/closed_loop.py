"""Which codes rebuild a chain best, when errors of earlier codes are known?"""

import copy
import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames
from provq_protein.model.break_codes import LEVER, BreakCodes, Steps, as_points
from provq_protein.model.chain_decoder import StepReader
from provq_protein.model.chain_following import ChainCourse, CodeTables, follow_one
from provq_protein.model.refinement import Frames

# From this many chains on, a step of all of them at once costs less than one for each.
_CHAINS_TOGETHER = 8


def codes_along_chains(
    nearest: Tensor,
    latents: Tensor,
    codes: Tensor,
    course: StepReader,
    coords: Tensor,
    resolved: Tensor,
    *,
    drift_weight: float,
    breaks: BreakCodes | None = None,
) -> Tensor:
    """
    Choose the codes of whole chains with `follow_chain`.

    Parameters
    ----------
    nearest : Tensor, shape=(batch, residue), dtype=int64
        Codes nearest to the latents.
    latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
        One per residue.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codes to choose from.
    course : StepReader
        Says which step a code stands for.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; ignored where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue is there and has its three atoms.
    drift_weight : float
        As for `follow_chain`.
    breaks : BreakCodes, optional
        Codes for what follows a break of the chain, counted on from `codes`.

    Returns
    -------
    Tensor, shape=(batch, residue), dtype=int64
        Indices.
    """
    across = breaks.steps if breaks is not None and bool(breaks.fitted) else None
    if drift_weight == 0.0 and across is None:
        return nearest
    coords = torch.where(resolved[..., None, None], coords, 0.0)
    return follow_chain(
        nearest,
        latents,
        codes,
        _steps_of(codes, course),
        # In float64 from here on: what a step is off by, all residues after it inherit, and an id
        # would depend on how a machine rounds.
        Frames(*backbone_frames(coords.double())),
        peptide_bonds(coords, resolved),
        resolved,
        drift_weight=drift_weight,
        across=across,
    )


def follow_chain(
    nearest: Tensor,
    latents: Tensor,
    codes: Tensor,
    steps: Steps,
    true: Frames,
    bonded: Tensor,
    resolved: Tensor,
    *,
    drift_weight: float,
    across: Steps | None = None,
) -> Tensor:
    """
    Choose codes one after the other, each knowing where the chain grown so far has arrived.

    Every residue takes the code nearest to its latent in a joint space of latents and steps: the
    wanted step is the one from the *reached* frame to the true next residue, so that what earlier
    codes lost is made up for instead of adding up.

    Parameters
    ----------
    nearest : Tensor, shape=(batch, residue), dtype=int64
        Codes nearest to the latents alone: kept where nothing follows.
    latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
        One per residue.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codebook.
    steps : tuple of Tensor, shapes=(code, 3, 3) and (code, 3), dtype=float32
        The rotation and translation (Angstrom) that each code stands for.
    true : Frames
        True residue frames.
    bonded : Tensor, shape=(batch, residue - 1), dtype=bool
        True where residue i is bonded to residue i + 1.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where there is a residue.
    drift_weight : float
        Weight of squared Angstrom between the reached and the true next residue against the
        squared distance of latents; at least 0, where the result is `nearest`.
    across : tuple of Tensor, shapes=(break code, 3, 3) and (break code, 3), optional
        The steps of further codes, for residues that a break parts from the next resolved one:
        they take the one nearest to the wanted step alone. Without them such a residue keeps
        its nearest code, and growth starts anew after the break.

    Returns
    -------
    Tensor, shape=(batch, residue), dtype=int64
        Indices; those of `across` are counted on from the codebook.

    Notes
    -----
    Noise-shaping quantization, as sigma-delta modulation does for signals: the quantizer is in a
    feedback loop, and the error that a chain accumulates stays bounded instead of growing with
    its length. An id then depends on the chain before it, not on its neighborhood alone.
    """
    following = _next_resolved(resolved)
    follows = resolved & (following > torch.arange(resolved.shape[1], device=resolved.device))
    follow = _follow_together
    if latents.device.type == "cpu" and len(latents) < _CHAINS_TOGETHER:
        follow = _follow_each
    return follow(
        nearest,
        latents.double(),
        _Chooser(codes, steps, across, drift_weight),
        Frames(true.rotations.double(), true.translations.double()),
        bonded,
        follows[:, :-1] & ~bonded,
        following,
        resolved.int().argmax(1),
    )


def _follow_together(
    nearest: Tensor,
    latents: Tensor,
    chooser: "_Chooser",
    true: Frames,
    bonded: Tensor,
    leaps: Tensor,
    following: Tensor,
    first: Tensor,
) -> Tensor:
    """Follow all chains of a batch in step."""
    turn, place = true.rotations, true.translations
    row = torch.arange(len(turn), device=turn.device)
    reached = turn[row, first], place[row, first]
    leaping = leaps.any(0).tolist()
    indices = nearest.clone()
    for residue in range(bonded.shape[1]):
        after = following[:, residue]
        goal = turn[row, after], place[row, after]
        wanted = _step_to(reached, goal)
        bond, leap = bonded[:, residue], leaps[:, residue]
        chosen = chooser.along(latents[:, residue], wanted)
        coded = bond
        if leaping[residue] and chooser.knows_breaks:
            chosen = torch.where(leap, chooser.across(wanted), chosen)
            coded = bond | leap
        indices[:, residue] = torch.where(coded, chosen, indices[:, residue])
        reached = _where(coded, chooser.taken(reached, chosen), reached)
        if leaping[residue] and not chooser.knows_breaks:
            reached = _where(leap, goal, reached)
    return indices


def _follow_each(
    nearest: Tensor,
    latents: Tensor,
    chooser: "_Chooser",
    true: Frames,
    bonded: Tensor,
    leaps: Tensor,
    following: Tensor,
    first: Tensor,
) -> Tensor:
    """Follow one chain after the other."""
    tables = chooser.tables()
    chains = [
        ChainCourse(
            turns=true.rotations[row].numpy(),
            places=true.translations[row].numpy(),
            following=following[row].numpy(),
            bonded=bonded[row].numpy(),
            leaps=leaps[row].numpy(),
            first=int(first[row]),
        )
        for row in range(len(nearest))
    ]
    return torch.stack(
        [follow_one(nearest[row], latents[row], tables, one) for row, one in enumerate(chains)]
    )


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What codes stood for when they were last asked."""

    weights: list[Tensor]
    codes: Tensor
    steps: Steps

    def applies(self, weights: list[Tensor], codes: Tensor) -> bool:
        """Compare values: cheap beside what they are put through, and true whatever happened."""
        return torch.equal(self.codes, codes) and all(
            torch.equal(one, other) for one, other in zip(self.weights, weights, strict=True)
        )


_remembered: WeakKeyDictionary[StepReader, _Remembered] = WeakKeyDictionary()


def _steps_of(codes: Tensor, course: StepReader) -> Steps:
    """Return the steps that codes stand for, in float64; those of the same codes are read once."""
    weights = [parameter.detach() for parameter in course.parameters()]
    known = _remembered.get(course)
    if known is None or codes.device != known.codes.device or not known.applies(weights, codes):
        copies = [weight.clone() for weight in weights]
        known = _Remembered(copies, codes.clone(), copy.deepcopy(course).double()(codes.double()))
        _remembered[course] = known
    return known.steps


class _Chooser:
    """Tables of codes and of the steps they stand for, ready to be searched."""

    def __init__(
        self, codes: Tensor, steps: Steps, across: Steps | None, drift_weight: float
    ) -> None:
        self._scale = math.sqrt(drift_weight)
        self._dim = codes.shape[1]
        self.knows_breaks = across is not None
        rotations, shifts = steps
        rotations, shifts = rotations.double(), shifts.double()
        keys = torch.cat([codes.double(), as_points(rotations, shifts) * self._scale], dim=1)
        self._keys, self._biases = _table(keys)
        if across is not None:
            turns, leaps = across[0].double(), across[1].double()
            self._across = _table(as_points(turns, leaps))
            rotations = torch.cat([rotations, turns])
            shifts = torch.cat([shifts, leaps])
        self._size = len(codes)
        self._rotations, self._shifts = rotations, shifts

    def tables(self) -> CodeTables:
        """Return the tables as following a single chain wants them."""
        keys, across_keys, across_biases = self._keys.T, None, None
        if self.knows_breaks:
            across_keys, across_biases = self._across[0].T, self._across[1]
        weights = np.repeat([LEVER, 1.0], [9, 3])
        return CodeTables(
            biases=self._biases,
            codes=keys[:, : self._dim],
            points=keys[:, self._dim :],
            across_biases=across_biases,
            across_points=across_keys,
            scales=weights * self._scale,
            across_scales=weights,
            rotations=self._rotations.numpy(),
            shifts=self._shifts.numpy(),
        )

    def along(self, latents: Tensor, wanted: Steps) -> Tensor:
        """Return the codes nearest to latents and wanted steps together."""
        query = torch.cat([latents, as_points(*wanted) * self._scale], dim=1)
        return torch.addmm(self._biases, query, self._keys, alpha=-1.0).argmin(dim=1)

    def across(self, wanted: Steps) -> Tensor:
        """Return the break codes nearest to wanted steps."""
        keys, biases = self._across
        found = torch.addmm(biases, as_points(*wanted), keys, alpha=-1.0).argmin(dim=1)
        return self._size + found

    def taken(self, reached: Steps, chosen: Tensor) -> Steps:
        """Return where chosen steps lead."""
        turn, place = reached
        return turn @ self._rotations[chosen], place + _applied(turn, self._shifts[chosen])


def _table(points: Tensor) -> tuple[Tensor, Tensor]:
    """Prepare for searching by a product: the nearest point has the least bias minus product."""
    points = points.double()
    return points.T.contiguous(), 0.5 * points.square().sum(1)


def _next_resolved(resolved: Tensor) -> Tensor:
    """Return for each residue the next resolved one; itself where there is none."""
    length = resolved.shape[1]
    position = torch.arange(length, device=resolved.device)
    there = torch.where(resolved, position, length)
    later = torch.cat([there[:, 1:], there.new_full((len(there), 1), length)], dim=1)
    after = later.flip(1).cummin(1).values.flip(1)
    return torch.where(after < length, after, position)


def _step_to(reached: Steps, goal: Steps) -> Steps:
    back = reached[0].transpose(-1, -2)
    return back @ goal[0], _applied(back, goal[1] - reached[1])


def _where(chosen: Tensor, one: Steps, other: Steps) -> Steps:
    return (
        torch.where(chosen[:, None, None], one[0], other[0]),
        torch.where(chosen[:, None], one[1], other[1]),
    )


def _applied(rotations: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("bij,bj->bi", rotations, vectors)
