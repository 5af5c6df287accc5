"""What share of the ids of given chains survives each disturbance?"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ProvqError
from provq_protein.evaluation.disturbances import (
    ROTATION,
    Arithmetic,
    Disturbance,
    rng_of,
)
from provq_protein.evaluation.stability import random_rotation
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.sequence import TokenSequence

ROTATION_FLOOR = 0.999
"""Least share of ids that a rotation of coordinates which are not rounded may leave unchanged."""

_DTYPES: Mapping[Arithmetic, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Survival:
    """
    How many ids of one chain survive one disturbance.

    Parameters
    ----------
    residues : int
        Resolved residues that remain, over all trials.
    same : int
        How many of them have the id that they had.
    """

    residues: int
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityRow:
    """
    What one disturbance does to the ids of all chains.

    Parameters
    ----------
    name, group : str
        Of the disturbance.
    chains : int
        How many chains it could be applied to.
    residues : int
        Residues looked at, over all trials.
    share : float
        Of these residues, those with the id that they had; *NaN* without residues.
    median : float
        Of the shares of single chains.
    lowest : float
        Least of the shares of single chains.
    intact : int
        Chains of which no id changed in any trial.
    """

    name: str
    group: str
    chains: int
    residues: int
    share: float
    median: float
    lowest: float
    intact: int


class StabilityMeter:
    """
    Disturb chains and count the ids that stay.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        What makes the tokens.
    disturbances : sequence of Disturbance
        What to try.
    trials : int
        How often to try what is random.
    seed : int
        Decides all that is random.

    Attributes
    ----------
    notes : dict of str to str
        By the name of a disturbance, why it could not be tried on some chain.
    """

    def __init__(
        self,
        tokenizer: StructureTokenizer,
        disturbances: Sequence[Disturbance],
        *,
        trials: int = 3,
        seed: int = 0,
    ) -> None:
        self.disturbances = tuple(disturbances)
        self.notes: dict[str, str] = {}
        self._trials = trials
        self._seed = seed
        self._chains = 0
        self._found: dict[str, list[Survival]] = {one.name: [] for one in self.disturbances}
        self._tokenizers = {"float32": tokenizer}

    def add(self, chain: Backbone) -> dict[str, Survival]:
        """
        Measure one chain.

        Parameters
        ----------
        chain : Backbone
            With at least one resolved residue.

        Returns
        -------
        dict of str to Survival
            By the name of the disturbance; those that do not apply to the chain are not there.
        """
        before = self._tokenizers["float32"].encode([chain])[0]
        found: dict[str, Survival] = {}
        for disturbance in self.disturbances:
            try:
                survival = self._survival(disturbance, chain, before)
            except (ProvqError, RuntimeError, NotImplementedError) as error:
                # One arithmetic that a device lacks, or one chain that FoldComp does not take.
                self.notes[disturbance.name] = " ".join(str(error).split())
                continue
            if survival is not None:
                found[disturbance.name] = survival
                self._found[disturbance.name].append(survival)
        self._chains += 1
        return found

    def rows(self) -> list[StabilityRow]:
        """
        Sum up all chains so far.

        Returns
        -------
        list of StabilityRow
            One per disturbance, in their order.
        """
        return [_row(one, self._found[one.name]) for one in self.disturbances]

    def _survival(
        self, disturbance: Disturbance, chain: Backbone, before: TokenSequence
    ) -> Survival | None:
        residues = same = 0
        for trial in range(self._trials if disturbance.random else 1):
            rng = rng_of(self._seed, self._chains, trial)
            changed = disturbance.change(chain, rng)
            if changed is None:
                return None
            other, kept = changed
            tokenizer = self._tokenizer(disturbance.arithmetic)
            if disturbance.turned_inside:
                tokenizer = _Converted(tokenizer, _DTYPES[disturbance.arithmetic], turn=rng)
            after = tokenizer.encode([other])[0]
            known = after.resolved & before.resolved[kept]
            residues += int(known.sum())
            same += int(np.sum((after.ids == before.ids[kept]) & known))
        return Survival(residues, same)

    def _tokenizer(self, arithmetic: Arithmetic) -> StructureTokenizer:
        if arithmetic not in self._tokenizers:
            original = self._tokenizers["float32"]
            self._tokenizers[arithmetic] = _Converted(original, _DTYPES[arithmetic])
        return self._tokenizers[arithmetic]


class _Converted(StructureTokenizer):
    """A tokenizer whose model computes in another arithmetic, on coordinates turned or not."""

    def __init__(
        self,
        original: StructureTokenizer,
        dtype: torch.dtype,
        *,
        turn: np.random.Generator | None = None,
    ) -> None:
        model = original.model if turn else copy.deepcopy(original.model).to(dtype)
        super().__init__(model, name=original.name)
        self._original = original.fingerprint
        self._dtype = dtype
        self._turn = turn

    @cached_property
    def fingerprint(self) -> str:
        # Of the weights as they were, not of rounded ones.
        return self._original

    def _tensors(self, chain: Backbone) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        coords, resolved, numbers, present = super()._tensors(chain)
        coords = coords.to(self._dtype)
        if self._turn is not None:
            coords = coords @ torch.from_numpy(random_rotation(self._turn).T.copy()).to(coords)
        return coords, resolved, numbers, present


def falls_short(rows: Sequence[StabilityRow]) -> bool:
    """
    Tell whether ids depend on the pose of a structure.

    Parameters
    ----------
    rows : sequence of StabilityRow
        From `StabilityMeter.rows`.

    Returns
    -------
    bool
        True if less than 99.9 % of all ids survive the rotation of unrounded coordinates.
    """
    return any(row.name == ROTATION and row.share < ROTATION_FLOOR for row in rows)


def _row(disturbance: Disturbance, found: Sequence[Survival]) -> StabilityRow:
    counted = [one for one in found if one.residues]
    residues = sum(one.residues for one in counted)
    shares = [one.same / one.residues for one in counted]
    return StabilityRow(
        name=disturbance.name,
        group=disturbance.group,
        chains=len(counted),
        residues=residues,
        share=sum(one.same for one in counted) / residues if residues else float("nan"),
        median=median(shares) if shares else float("nan"),
        lowest=min(shares, default=float("nan")),
        intact=sum(one.same == one.residues for one in counted),
    )
