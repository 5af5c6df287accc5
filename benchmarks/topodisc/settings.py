"""What is trained, how, and which curricula are compared?"""

from dataclasses import dataclass

from provq_protein.errors import ConfigError
from provq_protein.quantize import ProgressiveSchedule
from topodisc.shapes import Density


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    What all rows of the comparison share.

    Attributes
    ----------
    disk_points : int
        Points of the disk, whose radius is 1.
    triangle_points : int
        Points of the triangle's boundary.
    density : {"uniform", "dense"}
        How the points of the disk lie; see `shapes.disk`.
    triangle_radius : float
        Distance of the triangle's corners from the center of the disk.
    codes : int
        Number of codes.
    hidden : int
        Width of the two hidden layers of encoder and decoder.
    epochs : int
        Passes over all points.
    batch_size : int
        Points per optimizer step; the last batch of an epoch is smaller.
    learning_rate : float
        Of Adam.
    commitment_weight : float
        Weight of the commitment loss (beta).
    initial_coupling : float
        Weight of the quantization losses where the transition begins (lambda).

    Raises
    ------
    ConfigError
        If there is nothing to train on or with.
    """

    disk_points: int = 400
    triangle_points: int = 275
    density: Density = "uniform"
    triangle_radius: float = 1.9
    codes: int = 32
    hidden: int = 64
    epochs: int = 500
    batch_size: int = 64
    learning_rate: float = 1e-3
    commitment_weight: float = 0.25
    initial_coupling: float = 0.5

    def __post_init__(self) -> None:
        for name in ("disk_points", "triangle_points", "codes", "hidden", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                msg = f"topodisc: {name} must be 1 or more, got {getattr(self, name)}"
                raise ConfigError(msg)

    @property
    def points(self) -> int:
        """Number of points of both parts."""
        return self.disk_points + self.triangle_points

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return -(-self.points // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One curriculum. Its stages are shares of the training, so that a shorter one keeps their order.

    Attributes
    ----------
    title : str
        How it is called in tables.
    warmup : float
        Share of the epochs without quantization.
    transition : float
        Share of the epochs in which quantization becomes hard.
    kmeans : bool
        Whether the codes start as centroids of the latents, where quantization begins; else they
        are drawn uniformly from -1/K to 1/K.
    """

    title: str
    warmup: float
    transition: float
    kmeans: bool

    def stages(self, epochs: int) -> tuple[int, int]:
        """
        Return the lengths of warm-up and transition.

        Parameters
        ----------
        epochs : int
            Of the whole training.

        Returns
        -------
        tuple of (int, int)
            In epochs.
        """
        return round(self.warmup * epochs), round(self.transition * epochs)

    def schedule(self, settings: Settings) -> ProgressiveSchedule:
        """
        Return the schedule in optimizer steps.

        Parameters
        ----------
        settings : Settings
            Of the training.

        Returns
        -------
        ProgressiveSchedule
            Hard from step 0 for a row without warm-up and transition.

        Raises
        ------
        ConfigError
            If quantization would not be hard before the last epoch.
        """
        warmup, transition = self.stages(settings.epochs)
        if warmup + transition >= settings.epochs:
            msg = (
                f"topodisc: {self.title}: warm-up and transition take {warmup + transition} of "
                f"{settings.epochs} epochs; none is left for hard quantization"
            )
            raise ConfigError(msg)
        return ProgressiveSchedule(
            warmup_steps=warmup * settings.steps_per_epoch,
            transition_steps=transition * settings.steps_per_epoch,
            shape="cosine",
            initial_coupling=settings.initial_coupling,
        )


BASELINE = "vanilla"
SOFT = "soft"
PROVQ = "provq"
ROWS = {
    BASELINE: Row(title="vanilla", warmup=0.0, transition=0.0, kmeans=False),
    SOFT: Row(title="soft", warmup=0.0, transition=0.2, kmeans=False),
    "soft_kmeans": Row(title="soft + k-means", warmup=0.0, transition=0.6, kmeans=True),
    "warmup": Row(title="warm-up only", warmup=0.2, transition=0.0, kmeans=True),
    PROVQ: Row(title="ProVQ", warmup=0.2, transition=0.2, kmeans=True),
}


def snapshot_epochs(epochs: int) -> tuple[int, int, int]:
    """
    Return when the panels of Figure 3 are taken.

    Parameters
    ----------
    epochs : int
        Of the whole training.

    Returns
    -------
    tuple of (int, int, int)
        The beginning, three fifths, and the end: 0, 300 and 500 of 500.
    """
    return 0, round(0.6 * epochs), epochs
