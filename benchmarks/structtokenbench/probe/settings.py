"""How is a probe trained: the published protocol, or a faster one?"""

from dataclasses import asdict, dataclass
from typing import Literal

from provq_protein.errors import ConfigError

Level = Literal["residue", "chain"]

PUBLISHED_LEARNING_RATES = (0.1, 1e-2, 1e-3, 1e-4, 5e-5, 1e-5, 5e-6, 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """
    Everything that decides what a probe learns from given tokens.

    The defaults are the preset ``"fast"``: `ProbeSettings.preset` gives either preset.

    Parameters
    ----------
    name : str, optional
        Name of the preset, for reports.
    learning_rates : tuple of float, optional
        The sweep. All rates and seeds are trained together, as one batched model.
    seeds : tuple of int, optional
        One replica each: a seed decides initial weights and dropout.
    data_seed : int, optional
        Decides the order of training proteins, which all replicas share.
    steps : int, optional
        Optimizer steps. None derives them from `epochs`, between `min_steps` and `max_steps`.
    epochs, chain_epochs : float, optional
        Passes over the training proteins for tasks per residue and per chain.
    min_steps, max_steps : int, optional
        Bounds of the derived number of steps.
    warmup_steps : int, optional
        Steps of linear warm-up. None takes 5 % of the steps.
    plateau : float, optional
        Fraction of the steps at the full rate, between warm-up and the cosine.
    floor : float, optional
        Where the cosine ends, as a fraction of the rate.
    batch_size, chain_batch_size : int, optional
        Proteins per step for tasks per residue and per chain.
    drop_last : bool, optional
        Leave out the incomplete batch of an epoch (unless it is the only one).
    evaluations : int, optional
        Evaluations on the validation split, evenly spaced. None evaluates after every epoch.
    selection : {"metric", "f1"}, optional
        What the checkpoint maximises on validation: the metric of the task, pooled; or, for binary
        tasks, F1 at probability one half averaged over batches, as published.
    hidden, positions : int, optional
        Width of the hidden layer and rows of the position table. Residues beyond the table share
        its last row.
    dropout, weight_decay, clip : float, optional
        Dropout after the normalisation and the hidden layer; decay of matrices; largest norm of
        the gradient of a replica.
    max_residues : int, optional
        Items with more residues are left out, and reported. None keeps all.
    normalize_table : bool, optional
        Scale the code table to unit root mean square. The published probe adds codes of any scale
        to positions of unit scale, which drowns small codes.
    table_dims : int, optional
        Codes of more dimensions are projected on this many, those in which the codes of the
        training split vary most (`wide_tables.narrowed`). None keeps all, as published.
    resamples : int, optional
        Bootstrap resamples of the test splits.
    confidence : float, optional
        Probability that intervals cover.
    device : str, optional
        Where to train.
    """

    name: str = "fast"
    learning_rates: tuple[float, ...] = (3e-2, 1e-2, 3e-3, 1e-3)
    seeds: tuple[int, ...] = (0, 1, 2)
    data_seed: int = 0
    steps: int | None = None
    epochs: float = 6.0
    chain_epochs: float = 20.0
    min_steps: int = 500
    max_steps: int = 1200
    warmup_steps: int | None = None
    plateau: float = 0.1
    floor: float = 0.1
    batch_size: int = 8
    chain_batch_size: int = 64
    drop_last: bool = True
    evaluations: int | None = 10
    selection: Literal["metric", "f1"] = "metric"
    hidden: int = 512
    positions: int = 700
    dropout: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    max_residues: int | None = None
    normalize_table: bool = False
    table_dims: int | None = None
    resamples: int = 1000
    confidence: float = 0.95
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that cannot be trained with."""
        for field in ("learning_rates", "seeds"):
            values = getattr(self, field)
            if not values or len(set(values)) != len(values):
                msg = f"probe settings: {field} must be distinct and at least one, got {values}"
                raise ConfigError(msg)
        positive = ("epochs", "chain_epochs", "min_steps", "max_steps", "batch_size", "hidden")
        for field in (*positive, "chain_batch_size", "positions", "clip", "resamples"):
            self._positive(field)
        for field in ("steps", "evaluations", "max_residues", "table_dims"):
            if getattr(self, field) is not None:
                self._positive(field)
        if not 0 <= self.dropout < 1:
            msg = f"probe settings: dropout must be in [0, 1), got {self.dropout}"
            raise ConfigError(msg)
        if self.selection not in ("metric", "f1"):
            msg = f"probe settings: selection must be 'metric' or 'f1', got {self.selection!r}"
            raise ConfigError(msg)

    def _positive(self, field: str) -> None:
        value = getattr(self, field)
        if not value > 0:
            msg = f"probe settings: {field} must be positive, got {value}"
            raise ConfigError(msg)

    @classmethod
    def preset(cls, name: str) -> "ProbeSettings":
        """
        Return the settings of a preset.

        Parameters
        ----------
        name : {"fast", "published"}
            ``"fast"`` sweeps four rates with three seeds for a few epochs and keeps all proteins.
            ``"published"`` is the protocol of the benchmark: eight rates, one seed, 10,000 steps,
            proteins of at most 600 residues, checkpoints by F1 for binary tasks.

        Returns
        -------
        ProbeSettings
            The settings.

        Raises
        ------
        ConfigError
            If there is no such preset.

        Examples
        --------
        >>> ProbeSettings.preset("published").steps
        10000
        """
        if name == "fast":
            return cls()
        if name == "published":
            return cls(
                name="published",
                learning_rates=PUBLISHED_LEARNING_RATES,
                seeds=(1234,),
                data_seed=1234,
                steps=10_000,
                warmup_steps=200,
                evaluations=None,
                selection="f1",
                max_residues=600,
            )
        msg = f"probe settings: no preset {name!r}; there are 'fast' and 'published'"
        raise ConfigError(msg)

    def batch(self, level: Level) -> int:
        """
        Return the proteins per step.

        Parameters
        ----------
        level : {"residue", "chain"}
            What a label belongs to.

        Returns
        -------
        int
            Proteins per step.
        """
        return self.batch_size if level == "residue" else self.chain_batch_size

    def num_steps(self, proteins: int, level: Level) -> int:
        """
        Return the optimizer steps for a training set.

        Parameters
        ----------
        proteins : int
            Training items.
        level : {"residue", "chain"}
            What a label belongs to.

        Returns
        -------
        int
            The steps.

        Examples
        --------
        >>> ProbeSettings(epochs=4).num_steps(1000, "residue")
        500
        """
        if self.steps is not None:
            return self.steps
        epochs = self.epochs if level == "residue" else self.chain_epochs
        wanted = round(epochs * proteins / self.batch(level))
        return min(max(wanted, self.min_steps), self.max_steps)

    def evaluation_steps(self, proteins: int, level: Level) -> frozenset[int]:
        """
        Return the steps after which the validation split is scored.

        Parameters
        ----------
        proteins : int
            Training items.
        level : {"residue", "chain"}
            What a label belongs to.

        Returns
        -------
        frozenset of int
            Steps counted from 1; the last step always is among them.
        """
        steps = self.num_steps(proteins, level)
        if self.evaluations is None:
            every = max(proteins // self.batch(level), 1)
            return frozenset(range(every, steps + 1, every)) | {steps}
        return frozenset(
            max(round(steps * i / self.evaluations), 1) for i in range(1, self.evaluations + 1)
        )

    def to_mapping(self) -> dict[str, object]:
        """
        Give what JSON can hold.

        Returns
        -------
        dict
            All fields, with lists for tuples. `table_dims` is left out where it is None, so
            that results from before it existed are still those of the same settings.
        """
        fields = asdict(self)
        if self.table_dims is None:
            del fields["table_dims"]
        return {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}
