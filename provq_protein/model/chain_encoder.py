"""How does a residue's latent learn the exact course of the chain through it?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import place_backbone
from provq_protein.model.break_codes import LEVER, Steps, shortened
from provq_protein.model.neighborhood_encoder import (
    LENGTH_SCALE,
    NeighborhoodEncoder,
    NeighborhoodEncoderConfig,
)

# Of a bonded residue: its N, CA and C, its relative rotation, and whether it is there.
_ALPHA = slice(3, 6)
_ROTATION = slice(9, 18)
_NUM_FEATURES = 9 + 9 + 1
# The course of the chain is twelve numbers: where the next CA is, and how its frame is turned.
_NUM_COURSE = 3 + 9
# Steps across breaks that are longer than a bonded one (Angstrom) are shortened in latents.
_BONDED_STEP = 3.8


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainEncoderConfig(NeighborhoodEncoderConfig):
    """
    Sizes of `ChainEncoder`.

    Parameters
    ----------
    latent_dim, width, heads, neighbors, max_offset, neighbor_ffn_ratio, query_ffn_ratio : int
        As `NeighborhoodEncoderConfig`.
    chain_reach : int
        Residues before and after, along the bonded chain, whose geometry is read directly.
    course_width : int
        Hidden size of the layers that read the step back from a latent (`StepReader`).
    drift_weight : float
        How much ids make up for what earlier ids of the chain lost (`follow_chain`), at least 0:
        with 0 each id is the code nearest to its latent.
    break_codes : int
        How many of the codes, the last ones, are kept for steps across chain breaks
        (`BreakCodes`); with 0 no id says how a chain goes on after a break.
    """

    chain_reach: int
    course_width: int
    drift_weight: float
    break_codes: int

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        # Dataclasses with slots are made anew: a bare super() would see another class.
        super(ChainEncoderConfig, self).__post_init__()
        if self.latent_dim <= _NUM_COURSE:
            msg = (
                f"encoder: latent_dim must be more than {_NUM_COURSE}, the numbers of a step along "
                f"the chain, got {self.latent_dim}"
            )
            raise ConfigError(msg)
        if self.chain_reach < 1:
            msg = f"encoder: chain_reach must be at least 1, got {self.chain_reach}"
            raise ConfigError(msg)
        if self.course_width < 1:
            msg = f"encoder: course_width must be at least 1, got {self.course_width}"
            raise ConfigError(msg)
        if not 0.0 <= self.drift_weight < math.inf:
            msg = f"encoder: drift_weight must be 0 or more, got {self.drift_weight}"
            raise ConfigError(msg)
        if self.break_codes < 0:
            msg = f"encoder: break_codes must be 0 or more, got {self.break_codes}"
            raise ConfigError(msg)


class ChainEncoder(NeighborhoodEncoder):
    """
    A `NeighborhoodEncoder` that also reads the bonded residues before and after directly.

    A chain is rebuilt from the rigid steps between successive residues, and a small error in
    each of them adds up over its length. Attention over a neighborhood mixes these steps with
    everything else; a path of their own carries them to the latent with full precision. Before
    any training the latent is the step to the next residue, rotated into its own space without
    distortion, so that clusters of latents are clusters of steps; training adds what else helps.

    Parameters
    ----------
    config : ChainEncoderConfig
        Sizes.

    Notes
    -----
    Residues count as bonded by distance, not by number: next to a chain break the missing side
    is marked as missing. Invariant to rigid motions, as the neighborhood is.
    """

    def __init__(self, config: ChainEncoderConfig) -> None:
        super().__init__(config)
        self.reach = config.chain_reach
        self.along_chain = nn.Sequential(
            nn.Linear(2 * self.reach * _NUM_FEATURES, 2 * config.width),
            nn.GELU(),
            nn.Linear(2 * config.width, config.width),
        )
        self.course = nn.Linear(_NUM_FEATURES, config.latent_dim, bias=False)
        self._start_as_course()

    @torch.no_grad()
    def _start_as_course(self) -> None:
        """Let the untrained latent be the step to the next residue."""
        if self.course.weight.is_meta:
            return  # only shapes are asked for
        size = self.config.latent_dim
        # The latents' normalization removes their mean: keep that direction free.
        axes = torch.cat([torch.ones(size, 1), torch.randn(size, _NUM_COURSE)], dim=1)
        axes = torch.linalg.qr(axes).Q[:, 1:]
        self.course.weight.zero_()
        self.course.weight[:, _ALPHA] = LENGTH_SCALE * axes[:, :3]
        self.course.weight[:, _ROTATION] = LEVER * axes[:, 3:]
        self.to_latent.weight.zero_()
        self.to_latent.bias.zero_()

    @torch.no_grad()
    def latents_of_steps(self, steps: Steps) -> Tensor:
        """
        Return the latents that the path along the chain alone would give to steps.

        Parameters
        ----------
        steps : tuple of Tensor, shapes=(step, 3, 3) and (step, 3), dtype=float32
            Rotations and translations (Angstrom). Long translations are shortened.

        Returns
        -------
        Tensor, shape=(step, latent_dim), dtype=float32
            Without what a neighborhood would add.
        """
        rotations, translations = steps
        atoms = place_backbone(rotations, shortened(translations, _BONDED_STEP))
        there = torch.ones_like(translations[:, :1])
        features = torch.cat([atoms.flatten(1) / LENGTH_SCALE, rotations.flatten(1), there], dim=1)
        latents = self.course(features)
        return functional.layer_norm(latents, latents.shape[-1:])

    def _project(
        self, query: Tensor, coords: Tensor, rotations: Tensor, alpha: Tensor, resolved: Tensor
    ) -> Tensor:
        """Add the course of the chain to what the neighborhood told."""
        bonds = peptide_bonds(coords, resolved)
        parts = []
        for offset in range(1, self.reach + 1):
            joined = bonds.unfold(1, offset, 1).all(-1) if bonds.shape[1] >= offset else None
            for viewer_first in (True, False):
                seen = _seen_along_chain(
                    coords, rotations, alpha, joined, offset, viewer_first=viewer_first
                )
                parts.append(seen[resolved])
        query = query + self.along_chain(torch.cat(parts, dim=-1))
        return self.course(parts[0]) + self.to_latent(self.norm(query))


def _seen_along_chain(
    coords: Tensor,
    rotations: Tensor,
    alpha: Tensor,
    joined: Tensor | None,
    offset: int,
    *,
    viewer_first: bool,
) -> Tensor:
    """Return the residue `offset` bonds away in each one's frame: (batch, residue, feature)."""
    if joined is None:
        return coords.new_zeros(*coords.shape[:2], _NUM_FEATURES)
    early, late = slice(None, -offset), slice(offset, None)
    viewer, seen = (early, late) if viewer_first else (late, early)
    # Autocast would round these products to three digits.
    with torch.autocast(coords.device.type, enabled=False):
        atoms = (coords[:, seen] - alpha[:, viewer, None]) @ rotations[:, viewer]
        turned = rotations[:, viewer].transpose(-1, -2) @ rotations[:, seen]
    there = torch.ones_like(turned[..., 0, :1])
    features = torch.cat([atoms.flatten(2) / LENGTH_SCALE, turned.flatten(2), there], dim=-1)
    features = torch.where(joined[..., None], features, 0.0)
    return functional.pad(features, (0, 0, 0, offset) if viewer_first else (0, 0, offset, 0))
