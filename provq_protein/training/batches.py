"""Which residues make up training step n?"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from provq_protein.training.store import ChainStore

# Chains of about the same length are batched together within pools of this many batches'
# worth of chains, which wastes little on padding and still mixes an epoch well.
_POOL_CHAINS = 256


@dataclass(frozen=True)
class Batch:
    """
    Padded chains, as encoders and decoders take them.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; zero where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue has coordinates.
    residue_numbers : Tensor, shape=(batch, residue), dtype=int64
        Author numbers.
    present : Tensor, shape=(batch, residue), dtype=bool
        False where padded.
    """

    coords: Tensor
    resolved: Tensor
    residue_numbers: Tensor
    present: Tensor

    @property
    def num_residues(self) -> int:
        """Resolved residues in the batch."""
        return int(self.resolved.sum())


class BatchPlan:
    """
    Say which chains step n trains on: a pure function of the seed and n.

    Because nothing but the step number decides, a resumed run sees exactly what an unbroken
    run would have seen.

    Parameters
    ----------
    store : ChainStore
        Chains.
    chains : ndarray, shape=(n,), dtype=int64
        The chains to train on.
    seed : int
        Decides order, crops and noise.
    residues : int
        Upper bound of a batch's padded size.
    crop : int
        Longer chains are cut to a random window of this length.
    noise : float
        Standard deviation of the noise added to every coordinate, in Angstrom.
    """

    def __init__(
        self,
        store: ChainStore,
        chains: np.ndarray,
        *,
        seed: int,
        residues: int,
        crop: int,
        noise: float,
    ) -> None:
        self.store = store
        self.chains = chains
        self.seed = seed
        self.residues = residues
        self.crop = crop
        self.noise = noise
        self._epoch = lru_cache(maxsize=2)(self._plan_epoch)
        self._starts = [0]

    def batch(self, step: int) -> Batch:
        """
        Return the batch of a step.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        Batch
            Cropped, centered, noisy chains.
        """
        epoch = 0
        while True:
            plan = self._epoch(epoch)
            if len(self._starts) == epoch + 1:
                self._starts.append(self._starts[-1] + len(plan))
            if step < self._starts[epoch + 1]:
                chosen = plan[step - self._starts[epoch]]
                return self._build(chosen, np.random.default_rng([self.seed, 1, step]))
            epoch = self._skip(epoch, step)

    def _skip(self, epoch: int, step: int) -> int:
        """Next epoch to look at: the one that holds the step, if it was planned before."""
        later = int(np.searchsorted(self._starts, step, side="right")) - 1
        return max(epoch + 1, min(later, len(self._starts) - 1))

    def _plan_epoch(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.default_rng([self.seed, 0, epoch])
        order = generator.permutation(self.chains)
        batches = []
        for start in range(0, len(order), _POOL_CHAINS):
            batches.extend(self._fill(order[start : start + _POOL_CHAINS]))
        return [batches[i] for i in generator.permutation(len(batches))]

    def _fill(self, pool: np.ndarray) -> Iterator[np.ndarray]:
        lengths = np.minimum(self.store.lengths[pool], self.crop)
        order = np.argsort(lengths, kind="stable")[::-1]
        start = 0
        while start < len(order):
            # Sorted, so the first chain of a batch is its longest.
            size = max(1, self.residues // int(lengths[order[start]]))
            yield pool[order[start : start + size]]
            start += size

    def _build(self, chains: np.ndarray, generator: np.random.Generator) -> Batch:
        windows = [self._window(chain, generator) for chain in chains]
        longest = max(window.stop - window.start for window in windows)
        shape = (len(windows), longest)
        coords = np.zeros((*shape, 3, 3), dtype=np.float32)
        resolved = np.zeros(shape, dtype=bool)
        numbers = np.zeros(shape, dtype=np.int64)
        present = np.zeros(shape, dtype=bool)
        for row, window in enumerate(windows):
            length = window.stop - window.start
            known = self.store.resolved[window]
            chain = np.where(known[:, None, None], self.store.coords[window], 0.0)
            center = chain[known, 1].mean(0) if known.any() else np.zeros(3)
            noise = generator.normal(0.0, self.noise, chain.shape)
            coords[row, :length] = np.where(known[:, None, None], chain - center + noise, 0.0)
            resolved[row, :length] = known
            numbers[row, :length] = self.store.author_numbers[window]
            present[row, :length] = True
        return Batch(*map(torch.from_numpy, (coords, resolved, numbers, present)))

    def _window(self, chain: int, generator: np.random.Generator) -> slice:
        start, stop = int(self.store.offsets[chain]), int(self.store.offsets[chain + 1])
        spare = stop - start - self.crop
        if spare > 0:
            start += int(generator.integers(spare + 1))
            stop = start + self.crop
        return slice(start, stop)
