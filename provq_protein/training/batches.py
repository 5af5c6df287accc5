"""Which residues make up training step n?"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.training.store import ChainStore

# Chains of about the same length are batched together within pools of this many batches'
# worth of chains, which wastes little on padding and still mixes an epoch well.
_POOL_CHAINS = 256

# Classes of residue types are those of the ESM vocabulary, in which the first four are special
# and X stands for anything else.
RESIDUE_TYPES = "LAGVSERTIDPKQNFYMHWCXBUZO"
_FIRST_TYPE = 4
NUM_RESIDUE_CLASSES = _FIRST_TYPE + len(RESIDUE_TYPES)
_NO_TYPE = -1
_CLASS_OF = np.full(256, _FIRST_TYPE + RESIDUE_TYPES.index("X"), dtype=np.int64)
_CLASS_OF[np.frombuffer(RESIDUE_TYPES.encode(), dtype=np.uint8)] = np.arange(
    _FIRST_TYPE, NUM_RESIDUE_CLASSES
)
# Residues of the stand-in for a share without a chain.
_STAND_IN = 4


@dataclass(frozen=True, eq=False)
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
    residue_classes : Tensor, shape=(batch, residue), dtype=int64
        Residue types as classes; -1 where padded.
    latent_noise : Tensor, shape=(batch, residue, latent_dim), dtype=float32, optional
        Noise on what the decoder gets.
    """

    coords: Tensor
    resolved: Tensor
    residue_numbers: Tensor
    present: Tensor
    residue_classes: Tensor
    latent_noise: Tensor | None = None

    @property
    def num_residues(self) -> int:
        """Resolved residues in the batch."""
        return int(self.resolved.sum())

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a model takes: coordinates, resolved, residue numbers, present."""
        return self.coords, self.resolved, self.residue_numbers, self.present

    def to(self, device: torch.device) -> "Batch":
        """
        Return the batch on a device.

        Parameters
        ----------
        device : torch.device
            Where.

        Returns
        -------
        Batch
            This one, if it is there already.
        """
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def part(self, number: int, parts: int) -> "Batch":
        """
        Return some of the chains: one of several parts of about as many chains each.

        Parameters
        ----------
        number : int
            Which part, from 0.
        parts : int
            How many there are. Together they hold every chain once, in order.

        Returns
        -------
        Batch
            Padded no more than it needs. A part for which no chain is left is a few residues
            of which none is resolved: it adds nothing to any mean.
        """
        if parts == 1:
            return self
        rows = np.array_split(np.arange(len(self.present)), parts)[number]
        if not len(rows):
            some = self._mapped(lambda tensor: tensor[:1, :_STAND_IN])
            return replace(
                some,
                resolved=torch.zeros_like(some.resolved),
                coords=torch.zeros_like(some.coords),
                residue_classes=torch.full_like(some.residue_classes, _NO_TYPE),
            )
        chosen = slice(int(rows[0]), int(rows[-1]) + 1)
        longest = int(self.present[chosen].sum(1).max())
        return self._mapped(lambda tensor: tensor[chosen, :longest])

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        noise = self.latent_noise
        return Batch(
            coords=change(self.coords),
            resolved=change(self.resolved),
            residue_numbers=change(self.residue_numbers),
            present=change(self.present),
            residue_classes=change(self.residue_classes),
            latent_noise=None if noise is None else change(noise),
        )


def usable_chains(store: ChainStore) -> np.ndarray:
    """
    Return the training chains that have a residue to train on.

    Parameters
    ----------
    store : ChainStore
        Chains.

    Returns
    -------
    ndarray, shape=(usable,), dtype=int64
        Chain numbers.

    Raises
    ------
    ConfigError
        If there is none.
    """
    chains = store.select("train")
    known = np.concatenate([[0], np.cumsum(store.resolved)])
    usable = chains[known[store.offsets[chains + 1]] > known[store.offsets[chains]]]
    if not len(usable):
        msg = (
            f"the chain store has no usable training chain: of {len(store)} chains, {len(chains)} "
            "are for training, and none of those has a resolved residue"
        )
        raise ConfigError(msg)
    return usable


class BatchPlan:
    """
    Say which chains step n trains on: a pure function of the seed and n.

    Because nothing but the step number decides, a resumed run sees exactly what an unbroken
    run would have seen, and so do all processes of one training. Threads may share a plan.

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
    most_chains : int
        Upper bound of a batch's number of chains; 0 for none.
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
        most_chains: int = 0,
    ) -> None:
        self.store = store
        self.chains = chains
        self.seed = seed
        self.residues = residues
        self.crop = crop
        self.noise = noise
        self.most_chains = most_chains
        self._epoch = lru_cache(maxsize=2)(self._plan_epoch)
        self._starts = [0]
        self._lock = threading.Lock()

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
        return self._build(self.chosen(step), np.random.default_rng([self.seed, 1, step]))

    def chosen(self, step: int) -> np.ndarray:
        """
        Return the chains of a step.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        ndarray, shape=(batch,), dtype=int64
            Chain numbers, in the order of the batch.
        """
        epoch = 0
        with self._lock:
            while True:
                plan = self._epoch(epoch)
                if len(self._starts) == epoch + 1:
                    self._starts.append(self._starts[-1] + len(plan))
                if step < self._starts[epoch + 1]:
                    return plan[step - self._starts[epoch]]
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
            if self.most_chains:
                size = min(size, self.most_chains)
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
        classes = np.full(shape, _NO_TYPE, dtype=np.int64)
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
            classes[row, :length] = _CLASS_OF[self.store.sequence[window].view(np.uint8)]
        return Batch(*map(torch.from_numpy, (coords, resolved, numbers, present, classes)))

    def _window(self, chain: int, generator: np.random.Generator) -> slice:
        start, stop = int(self.store.offsets[chain]), int(self.store.offsets[chain + 1])
        spare = stop - start - self.crop
        if spare > 0:
            start += int(generator.integers(spare + 1))
            stop = start + self.crop
        return slice(start, stop)
