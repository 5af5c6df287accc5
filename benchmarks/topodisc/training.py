"""What does one curriculum make of several seeds?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from provq_protein.quantize import kmeans
from topodisc.settings import Row, Settings, snapshot_epochs
from topodisc.shapes import disk, triangle
from topodisc.stack import DIM, StackedMLP, StackedQuantizer

# What the random numbers of a seed are for; each purpose has a stream of its own, so that all rows
# see the same points, initial weights and batches.
_PURPOSES = ("points", "weights", "codes", "batches", "kmeans")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """
    Where latents and codes are at one moment.

    Attributes
    ----------
    latents : Tensor, shape=(run, point, 2), dtype=float32
        Of all points, those of the disk first.
    codes : Tensor, shape=(run, code, 2), dtype=float32
        All codes.
    """

    latents: Tensor
    codes: Tensor


@dataclass(frozen=True, eq=False)
class Outcome:
    """
    What one row came to, with hard quantization.

    Attributes
    ----------
    disk_mse : Tensor, shape=(run,), dtype=float32
        Mean squared error of a coordinate, over the points of the disk.
    triangle_mse : Tensor, shape=(run,), dtype=float32
        Over the points of the triangle.
    total_mse : Tensor, shape=(run,), dtype=float32
        Over all points.
    codes_used : Tensor, shape=(run,), dtype=int64
        Codes that are nearest to one of the points at least.
    snapshots : dict of {int : Snapshot}
        By epoch.
    """

    disk_mse: Tensor
    triangle_mse: Tensor
    total_mse: Tensor
    codes_used: Tensor
    snapshots: dict[int, Snapshot]


class Training:
    """
    The training of one row with several seeds at once.

    Parameters
    ----------
    row : Row
        The curriculum.
    settings : Settings
        All else.
    seeds : list of int
        One independent run each; what a run does depends on its own seed alone.

    Attributes
    ----------
    points : Tensor, shape=(run, point, 2), dtype=float32
        What is trained on, those of the disk first.
    """

    def __init__(self, row: Row, settings: Settings, seeds: list[int]) -> None:
        self.row, self.settings = row, settings
        self.schedule = row.schedule(settings)
        self._generators = {purpose: _generators(purpose, seeds) for purpose in _PURPOSES}
        self.points = torch.stack(
            [_points(settings, generator) for generator in self._generators["points"]]
        )
        widths = (DIM, settings.hidden, settings.hidden, DIM)
        self.encoder = StackedMLP(widths, self._generators["weights"])
        self.decoder = StackedMLP(widths, self._generators["weights"])
        codes = [
            (2.0 * torch.rand(settings.codes, DIM, generator=generator) - 1.0) / settings.codes
            for generator in self._generators["codes"]
        ]
        self.quantizer = StackedQuantizer(
            torch.stack(codes), self.schedule, commitment_weight=settings.commitment_weight
        )
        parameters = [
            *self.encoder.parameters(),
            *self.decoder.parameters(),
            *self.quantizer.parameters(),
        ]
        self.optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
        self.steps_done = 0

    def run(self, progress: Callable[[int], object] = lambda epoch: None) -> Outcome:
        """
        Train from the beginning to the end.

        Parameters
        ----------
        progress : callable
            Called with the number of epochs done, after each.

        Returns
        -------
        Outcome
            Of the trained models.
        """
        moments = snapshot_epochs(self.settings.epochs)
        snapshots = {0: self.snapshot()}
        for epoch in range(1, self.settings.epochs + 1):
            self.epoch()
            if epoch in moments:
                snapshots[epoch] = self.snapshot()
            progress(epoch)
        return self.outcome(snapshots)

    def epoch(self) -> None:
        """Train on every point once, in random batches."""
        count = self.settings.points
        order = torch.stack(
            [torch.randperm(count, generator=each) for each in self._generators["batches"]]
        )
        for chosen in order.split(self.settings.batch_size, dim=1):
            self.step(chosen)

    def step(self, chosen: Tensor) -> tuple[float, float]:
        """
        Take one optimizer step.

        Parameters
        ----------
        chosen : Tensor, shape=(run, batch), dtype=int64
            Points of the batch of each run.

        Returns
        -------
        tuple of (float, float)
            Reconstruction loss and weighted quantization loss, summed over runs.
        """
        if self.row.kmeans and self.steps_done == self.schedule.warmup_steps:
            self._seed_codes()
        points = self.points.gather(1, chosen[..., None].expand(-1, -1, DIM))
        latents, vq_loss, _ = self.quantizer(self.encoder(points), step=self.steps_done)
        squared = (self.decoder(latents) - points).square()
        reconstruction = squared.mean(dim=(1, 2)).sum()
        self.optimizer.zero_grad()
        (reconstruction + vq_loss).backward()
        self.optimizer.step()
        self.steps_done += 1
        return float(reconstruction.detach()), float(vq_loss.detach())

    @torch.no_grad()
    def snapshot(self) -> Snapshot:
        """
        Return where latents and codes are.

        Returns
        -------
        Snapshot
            Copies.
        """
        return Snapshot(latents=self.encoder(self.points), codes=self.quantizer.codes().clone())

    @torch.no_grad()
    def outcome(self, snapshots: dict[int, Snapshot]) -> Outcome:
        """
        Measure the models as they are, with hard quantization.

        Parameters
        ----------
        snapshots : dict of {int : Snapshot}
            To be kept along.

        Returns
        -------
        Outcome
            Of all points.
        """
        self.quantizer.eval()
        latents, _, indices = self.quantizer(self.encoder(self.points))
        self.quantizer.train()
        squared = (self.decoder(latents) - self.points).square().mean(dim=2)
        split = self.settings.disk_points
        return Outcome(
            disk_mse=squared[:, :split].mean(dim=1),
            triangle_mse=squared[:, split:].mean(dim=1),
            total_mse=squared.mean(dim=1),
            codes_used=torch.tensor([each.unique().numel() for each in indices]),
            snapshots=snapshots,
        )

    @torch.no_grad()
    def _seed_codes(self) -> None:
        """Set the codes to centroids of the latents of all points."""
        # No gradient has reached a code before, so the optimizer has no moments to forget.
        latents = self.encoder(self.points)
        generators = self._generators["kmeans"]
        centroids = [
            kmeans(sample, self.settings.codes, generator=generator)
            for sample, generator in zip(latents, generators, strict=True)
        ]
        self.quantizer.place(torch.stack(centroids))


def _generators(purpose: str, seeds: list[int]) -> list[torch.Generator]:
    number = _PURPOSES.index(purpose)
    return [torch.Generator().manual_seed(len(_PURPOSES) * seed + number) for seed in seeds]


def _points(settings: Settings, generator: torch.Generator) -> Tensor:
    parts = [
        disk(settings.disk_points, density=settings.density, generator=generator),
        triangle(settings.triangle_points, radius=settings.triangle_radius),
    ]
    return torch.cat(parts)
