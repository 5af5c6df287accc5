"""How does a chain grow exactly as its codes say?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from provq_protein.geometry.frames import rotation_from_axes
from provq_protein.model.growth_decoder import STEP_SCALE, GrowthDecoder, GrowthDecoderConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainDecoderConfig(GrowthDecoderConfig):
    """
    Sizes of `ChainDecoder`.

    Parameters
    ----------
    latent_dim, width, heads, trunk_blocks, refine_blocks : int
        As `GrowthDecoderConfig`.
    ffn_ratio, pair_width, distance_bins : int
        As `GrowthDecoderConfig`.
    """


class ChainDecoder(GrowthDecoder):
    """
    A `GrowthDecoder` whose chain grows by given steps: one that its own latent means, each.

    Because a code always means the same step (`StepReader`), whoever chooses the codes knows
    where the chain arrives, and can make up for what was lost on the way. Refinement moves the
    frames afterwards: it places parts of a chain whose connection is missing.

    Parameters
    ----------
    config : ChainDecoderConfig
        Sizes.
    """

    predicts_steps = False


class StepReader(nn.Module):
    """
    Read from a latent the rigid step to the next residue that it stands for.

    Parameters
    ----------
    latent_dim : int
        Size of one latent.
    width : int
        Hidden size.
    """

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 9),
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return the step of each latent.

        Parameters
        ----------
        latents : Tensor, shape=(..., latent_dim), dtype=float
            Latents or codes.

        Returns
        -------
        rotations : Tensor, shape=(..., 3, 3), dtype=float32, or float64 for such latents
            Orientation of the next residue in the frame of this one.
        translations : Tensor, shape=(..., 3), dtype=float32, or float64 for such latents
            Origin of the next residue in the frame of this one, in Angstrom.
        """
        read = self.layers(latents)
        # Autocast rounds; whoever asks in float64 gets float64.
        read = read if read.dtype == torch.float64 else read.float()
        first, second, shift = read.split(3, dim=-1)
        return rotation_from_axes(first, second), shift * STEP_SCALE
