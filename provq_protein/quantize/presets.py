"""Which quantizer does a name from the papers mean?"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook, Codebook
from provq_protein.quantize.ema_codebook import EmaCodebook
from provq_protein.quantize.estimators import (
    DiVeQ,
    GeneralizedRadius,
    GradientEstimator,
    RotationTrick,
    StraightThrough,
)
from provq_protein.quantize.finite_scalar import FiniteScalarCodebook, fsq_levels
from provq_protein.quantize.linear_codebook import LinearCodebook
from provq_protein.quantize.progressive import ProgressiveQuantizer
from provq_protein.quantize.residual_codebook import ResidualCodebook
from provq_protein.quantize.schedule import ProgressiveSchedule
from provq_protein.quantize.spherical_codebook import SphericalCodebook
from provq_protein.quantize.transformed_codebook import TransformedCodebook

# Quantization is hard from the first step on.
ALWAYS_HARD = ProgressiveSchedule(
    warmup_steps=0, transition_steps=0, shape="cosine", initial_coupling=1.0
)
_RESIDUAL_LEVELS = 2
_COMMITMENT = 0.25


@dataclass(frozen=True, kw_only=True)
class Method:
    """
    A codebook and a gradient estimator that a paper put together.

    Attributes
    ----------
    build : callable
        Makes the codebook from a number of codes and a dimension.
    estimator : GradientEstimator
        How a gradient passes the jump to a code.
    codebook_weight : float or None
        See `ProgressiveQuantizer`.
    commitment_weight : float
        See `ProgressiveQuantizer`.
    source : str
        Where the method is from.
    """

    build: Callable[[int, int], AbstractCodebook]
    estimator: GradientEstimator = dataclasses.field(default_factory=StraightThrough)
    codebook_weight: float | None = None
    commitment_weight: float = _COMMITMENT
    source: str


METHODS: dict[str, Method] = {
    "vanilla": Method(build=Codebook, source="van den Oord et al., arXiv:1711.00937"),
    "vanilla_l2": Method(
        build=lambda size, dim: SphericalCodebook(Codebook(size, dim)),
        source="Yu et al., arXiv:2110.04627 (ViT-VQGAN); as in LlamaGen, arXiv:2406.06525",
    ),
    "ema": Method(build=EmaCodebook, source="van den Oord et al., arXiv:1711.00937, appendix A"),
    "aminoaseed": Method(build=LinearCodebook, source="Yuan et al., arXiv:2503.00089"),
    "simvq": Method(
        build=lambda size, dim: LinearCodebook(size, dim, bias=False, basis_std=dim**-0.5),
        source="Zhu et al., arXiv:2411.02038",
    ),
    "rotation": Method(
        build=Codebook, estimator=RotationTrick(), source="Fifty et al., arXiv:2410.06424"
    ),
    # Its codes learn from the reconstruction alone.
    "diveq": Method(
        build=Codebook,
        estimator=DiVeQ(),
        codebook_weight=0.0,
        commitment_weight=0.0,
        source="Vali et al., DiVeQ, ICLR 2026",
    ),
    "grit": Method(
        build=TransformedCodebook,
        estimator=GeneralizedRadius(),
        source="after You et al., arXiv:2602.01140, from its abstract; see `GeneralizedRadius`",
    ),
    "fsq": Method(
        build=lambda size, dim: FiniteScalarCodebook(fsq_levels(size)),
        commitment_weight=0.0,
        source="Mentzer et al., arXiv:2309.15505",
    ),
    "rvq": Method(
        build=lambda size, dim: ResidualCodebook(
            [Codebook(size, dim) for _ in range(_RESIDUAL_LEVELS)]
        ),
        source="Zeghidour et al., arXiv:2107.03312 (SoundStream)",
    ),
}


@dataclass(frozen=True)
class Curriculum:
    """
    Which parts of ProVQ a training has.

    Attributes
    ----------
    warmup : bool
        Whether it starts without quantization.
    seeded : bool
        Whether the codes are seeded by k-means, at the end of the warm-up.
    transition : bool
        Whether quantization sets in softly.
    """

    warmup: bool
    seeded: bool
    transition: bool


CURRICULA: dict[str, Curriculum] = {
    "": Curriculum(warmup=False, seeded=False, transition=False),
    "soft": Curriculum(warmup=False, seeded=False, transition=True),
    "warmup": Curriculum(warmup=True, seeded=True, transition=False),
    "provq": Curriculum(warmup=True, seeded=True, transition=True),
}


@dataclass(frozen=True)
class Preset:
    """
    A method and a curriculum: one row of a table of the paper.

    Parameters
    ----------
    name : str
        A method, or method and curriculum as in ``"simvq+provq"``.

    Raises
    ------
    ConfigError
        If there is no such method or curriculum.

    Examples
    --------
    >>> preset = Preset("simvq+provq")
    >>> preset.curriculum.warmup, preset.curriculum.seeded, preset.curriculum.transition
    (True, True, True)
    >>> Preset("vanilla").curriculum.seeded
    False
    """

    name: str

    def __post_init__(self) -> None:
        method, plus, curriculum = self.name.partition("+")
        if method not in METHODS or curriculum not in CURRICULA or (plus and not curriculum):
            known = ", ".join(METHODS)
            msg = (
                f"preset: {self.name!r} is unknown; known are {known}, each alone or with "
                "+soft, +warmup or +provq"
            )
            raise ConfigError(msg)

    @property
    def method(self) -> Method:
        """Codebook and estimator."""
        return METHODS[self.name.partition("+")[0]]

    @property
    def curriculum(self) -> Curriculum:
        """Parts of the curriculum."""
        return CURRICULA[self.name.partition("+")[2]]

    def schedule(self, full: ProgressiveSchedule) -> ProgressiveSchedule:
        """
        Return the parts of a curriculum that this preset has.

        Parameters
        ----------
        full : ProgressiveSchedule
            The curriculum with all its parts.

        Returns
        -------
        ProgressiveSchedule
            Without warm-up or transition, where the preset has none.

        Raises
        ------
        ConfigError
            If a part that the preset has is 0 steps long in `full`.
        """
        lengths = {}
        for part in ("warmup", "transition"):
            wanted = getattr(self.curriculum, part)
            steps = getattr(full, f"{part}_steps")
            if wanted and not steps:
                msg = f"preset: {self.name!r} needs {part}_steps of 1 or more"
                raise ConfigError(msg)
            lengths[f"{part}_steps"] = steps if wanted else 0
        return dataclasses.replace(full, **lengths)


def make_quantizer(
    preset: str, *, size: int, dim: int, schedule: ProgressiveSchedule = ALWAYS_HARD
) -> ProgressiveQuantizer:
    """
    Build the quantizer that a paper compares.

    Parameters
    ----------
    preset : str
        A method of `METHODS`, alone or with ``+soft``, ``+warmup`` or ``+provq``.
    size : int
        Number of codes; of each level for ``rvq``, which has two.
    dim : int
        Dimension of the latents.
    schedule : ProgressiveSchedule
        A curriculum with all parts, of which the preset takes its own.

    Returns
    -------
    ProgressiveQuantizer
        Not seeded: that takes latents. ``Preset(preset).curriculum.seeded`` says whether the row
        of the paper is, `ProgressiveQuantizer.seed` does it.

    Raises
    ------
    ConfigError
        If the preset is unknown, or the sizes do not suit it.

    Notes
    -----
    Without suffix a preset is the paper's baseline: hard from the first step, random codes. The
    codes of ``fsq`` have fewer dimensions than the latents, so that it has linear maps to them
    and back; nothing of it is ever seeded.

    Examples
    --------
    >>> schedule = ProgressiveSchedule(
    ...     warmup_steps=100, transition_steps=50, shape="cosine", initial_coupling=0.5
    ... )
    >>> quantizer = make_quantizer("aminoaseed+soft", size=64, dim=8, schedule=schedule)
    >>> quantizer.schedule.stage(0), quantizer.schedule.stage(50)
    ('transition', 'hard')
    """
    chosen = Preset(preset)
    return build_method(
        chosen.name.partition("+")[0], size=size, dim=dim, schedule=chosen.schedule(schedule)
    )


def build_method(
    name: str,
    *,
    size: int,
    dim: int,
    schedule: ProgressiveSchedule,
    commitment_weight: float | None = None,
) -> ProgressiveQuantizer:
    """
    Build a method under any schedule.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    size : int
        Number of codes.
    dim : int
        Dimension of the latents.
    schedule : ProgressiveSchedule
        Taken as it is.
    commitment_weight : float, optional
        Instead of the method's own.

    Returns
    -------
    ProgressiveQuantizer
        Not seeded.

    Raises
    ------
    ConfigError
        If the name is unknown, or the sizes do not suit the method.
    """
    method = Preset(name).method
    weight = method.commitment_weight if commitment_weight is None else commitment_weight
    return ProgressiveQuantizer(
        method.build(size, dim),
        schedule,
        estimator=method.estimator,
        latent_dim=dim,
        codebook_weight=method.codebook_weight,
        commitment_weight=weight,
    )
