"""How are encoder, quantizer and decoder wired into one model, saved and loaded?"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError
from provq_protein.model.break_codes import Steps
from provq_protein.model.chain_encoder import ChainEncoderConfig
from provq_protein.model.closed_loop import codes_along_chains
from provq_protein.model.config import ModelConfig
from provq_protein.model.folder_checks import check_fingerprint, check_shapes, model_config
from provq_protein.model.growth_decoder import GrowthDecoderOutput
from provq_protein.model.id_decoder import IdDecoder
from provq_protein.model.parts import build_course, build_decoder, build_encoder, build_quantizer
from provq_protein.model.saving import write_model
from provq_protein.model.transformer_decoder import TransformerDecoderOutput
from provq_protein.quantize import ALWAYS_HARD, ProgressiveSchedule, Quantized
from provq_protein.runs import checkpoint
from provq_protein.runs.config import to_mapping
from provq_protein.runs.shapes import shapes_of

_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True)
class AutoencoderOutput:
    """
    What `StructureAutoencoder` returns in training.

    Parameters
    ----------
    latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
        Before quantization.
    quantized : Quantized
        From the quantizer, over all residues of the batch.
    decoded : GrowthDecoderOutput or TransformerDecoderOutput
        From the decoder.
    """

    latents: Tensor
    quantized: Quantized
    decoded: GrowthDecoderOutput | TransformerDecoderOutput


class StructureAutoencoder(nn.Module):
    """
    Encoder, quantizer and decoder of backbones.

    Parameters
    ----------
    config : ModelConfig
        The parts and their sizes.
    schedule : ProgressiveSchedule, optional
        The curriculum to train with; by default quantization is hard from the start.

    Notes
    -----
    All tensors have a leading batch axis. `resolved` is False where a residue lacks one of
    its atoms, `present` is False where the batch is padded.
    """

    def __init__(self, config: ModelConfig, schedule: ProgressiveSchedule = ALWAYS_HARD) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        self.quantizer = build_quantizer(config, schedule)
        self.course, self.breaks = build_course(config)
        self.decoder = build_decoder(config)

    @classmethod
    def build(cls, config: ModelConfig, *, seed: int = 0) -> "StructureAutoencoder":
        """
        Build a model with fresh weights, in eval mode.

        Parameters
        ----------
        config : ModelConfig
            The parts and their sizes.
        seed : int
            Decides the weights; the global random state is left as it was.

        Returns
        -------
        StructureAutoencoder
            An untrained model.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config).eval()

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        return self.config.codebook.size

    def codebook(self) -> Tensor:
        """
        Return the codes.

        Returns
        -------
        Tensor, shape=(code, latent_dim), dtype=float32
            What `decode` looks up for each index, detached.
        """
        learned = self.codebook_size - (0 if self.breaks is None else self.breaks.count)
        every = torch.arange(learned, device=self.quantizer.codebook.initialized.device)
        codes = self.quantizer.decode(every).detach()
        return codes if self.breaks is None else torch.cat([codes, self.breaks.vectors])

    def forward(
        self,
        coords: Tensor,
        resolved: Tensor,
        residue_numbers: Tensor,
        present: Tensor,
        *,
        step: int | None = None,
        freeze_encoder: bool = False,
        latent_noise: Tensor | None = None,
    ) -> AutoencoderOutput:
        """
        Encode, quantize and decode a batch.

        Parameters
        ----------
        coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
            N, CA and C, in Angstrom.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where the residue has its three atoms.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Author numbering.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.
        step : int, optional
            Training step, for the curriculum.
        freeze_encoder : bool
            Leave encoder and codebook out of the gradient.
        latent_noise : Tensor, shape=(batch, residue, latent_dim), dtype=float32, optional
            Added to what the decoder gets, in proportion to the share of the continuous
            latents (alpha): nothing is added once quantization is hard.

        Returns
        -------
        AutoencoderOutput
            Latents, quantized latents and decoded backbones.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not freeze_encoder):
            latents = self.encoder(coords, resolved, residue_numbers, present)
            quantized = self.quantizer(latents, step=step, mask=resolved & present)
            if freeze_encoder:
                quantized = self._as_encoded(quantized, latents, coords, resolved & present)
            given = quantized.latents
            if latent_noise is not None:
                given = given + quantized.alpha * latent_noise
            leaps = self._leaps(quantized.indices) if freeze_encoder else None
            course = self._course(given, resolved & present, leaps)
        decoded = self.decoder(given, resolved, residue_numbers, present, **course)
        return AutoencoderOutput(latents, quantized, decoded)

    def embed(
        self, coords: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Tensor:
        """
        Return latents before quantization.

        Parameters
        ----------
        coords, resolved, residue_numbers, present : Tensor
            As `forward`.

        Returns
        -------
        Tensor, shape=(batch, residue, latent_dim), dtype=float32
            Latents.
        """
        return self.encoder(coords, resolved, residue_numbers, present)

    def encode(
        self, coords: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Tensor:
        """
        Return the index of each residue's code.

        Parameters
        ----------
        coords, resolved, residue_numbers, present : Tensor
            As `forward`.

        Returns
        -------
        Tensor, shape=(batch, residue), dtype=int64
            Indices; without meaning where a residue is unresolved or padding.
        """
        latents = self.embed(coords, resolved, residue_numbers, present)
        return self.assign(latents, coords, resolved & present)

    @torch.no_grad()
    def assign(self, latents: Tensor, coords: Tensor, resolved: Tensor) -> Tensor:
        """
        Return the index of each latent's code.

        Parameters
        ----------
        latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
            From `embed`.
        coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
            What was embedded: N, CA and C, in Angstrom.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where the residue is there and has its three atoms.

        Returns
        -------
        Tensor, shape=(batch, residue), dtype=int64
            The nearest codes or, for a model that follows the chain (``drift_weight``), those
            that rebuild it best.
        """
        nearest = self.quantizer.encode(latents)
        config = self.config.encoder
        if self.course is None or not isinstance(config, ChainEncoderConfig):
            return nearest
        return codes_along_chains(
            nearest,
            latents,
            self.codebook()[: self.quantizer.codebook.size],
            self.course,
            coords,
            resolved,
            drift_weight=config.drift_weight,
            breaks=self.breaks,
        )

    def _as_encoded(
        self, quantized: Quantized, latents: Tensor, coords: Tensor, resolved: Tensor
    ) -> Quantized:
        """Give the decoder the codes of the ids that `encode` returns."""
        if self.course is None:
            return quantized
        indices = self.assign(latents, coords, resolved)
        return replace(quantized, indices=indices, latents=self.codebook()[indices])

    def _leaps(self, indices: Tensor) -> Tensor | None:
        """Return which break code each residue has, -1 where none; None for a model without."""
        if self.breaks is None:
            return None
        return (indices - self.quantizer.codebook.size).clamp(min=-1)

    def _course(self, latents: Tensor, resolved: Tensor, leaps: Tensor | None) -> dict[str, Steps]:
        """Return the steps that latents stand for, for a decoder that wants them."""
        if self.course is None:
            return {}
        steps = self.course(torch.where(resolved[..., None], latents, 0.0))
        if self.breaks is not None and leaps is not None:
            steps = self.breaks.applied(steps, leaps, resolved)
        return {"steps": steps}

    def decode(
        self, indices: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Tensor:
        """
        Return backbones from code indices.

        Parameters
        ----------
        indices : Tensor, shape=(batch, residue), dtype=int64
            Indices; any valid one where unresolved.
        resolved, residue_numbers, present : Tensor
            As `forward`.

        Returns
        -------
        Tensor, shape=(batch, residue, 3, 3), dtype=float32
            N, CA and C, in Angstrom, in an arbitrary pose.
        """
        if isinstance(self.decoder, IdDecoder):
            return self.decoder(indices, resolved, residue_numbers, present).coords
        codes = self.codebook()[indices]
        leaps = self._leaps(indices)
        return self.decode_latents(codes, resolved, residue_numbers, present, leaps=leaps)

    def decode_latents(
        self,
        latents: Tensor,
        resolved: Tensor,
        residue_numbers: Tensor,
        present: Tensor,
        *,
        leaps: Tensor | None = None,
    ) -> Tensor:
        """
        Return backbones from latents without quantization.

        Parameters
        ----------
        latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
            Latents or codes.
        resolved, residue_numbers, present : Tensor
            As `forward`.
        leaps : Tensor, shape=(batch, residue), dtype=int64, optional
            Which of the codes for breaks a residue has, from 0; -1 where it has none.

        Returns
        -------
        Tensor, shape=(batch, residue, 3, 3), dtype=float32
            N, CA and C, in Angstrom, in an arbitrary pose.
        """
        course = self._course(latents, resolved & present, leaps)
        return self.decoder(latents, resolved, residue_numbers, present, **course).coords

    def fingerprint(self) -> str:
        """
        Return 16 hex digits that are equal exactly if ids mean the same.

        Returns
        -------
        str
            SHA-256 over the configuration and tensors of all parts but the decoder: a better
            decoder for the same ids keeps them valid.
        """
        settings = {
            "encoder": to_mapping(self.config)["encoder"],
            "codebook": to_mapping(self.config.codebook),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        state = self.state_dict()
        for name in sorted(state):
            if not name.startswith("decoder."):
                digest.update(name.encode())
                digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:_FINGERPRINT_DIGITS]

    def save(self, folder: Path, *, training: Mapping[str, Any]) -> None:
        """
        Write a model folder.

        Parameters
        ----------
        folder : Path
            Where; replaced if it exists.
        training : mapping
            How the model was made, for its card (JSON values).
        """
        write_model(self, folder, training=training)

    @classmethod
    def load(cls, folder: Path) -> "StructureAutoencoder":
        """
        Read a model folder.

        Parameters
        ----------
        folder : Path
            As `save` wrote it.

        Returns
        -------
        StructureAutoencoder
            In eval mode.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the version is unknown, or weights and
            configuration do not belong together.
        """
        if not folder.is_dir():
            parts = f"{checkpoint.WEIGHTS} and {checkpoint.CONFIG}"
            msg = f"{folder}: no such model folder; it should hold {parts}"
            raise CheckpointError(msg)
        document = checkpoint.load_document(folder / checkpoint.CONFIG)
        config = model_config(folder, document)
        tensors = checkpoint.load_tensors(folder / checkpoint.WEIGHTS)
        check_shapes(folder, shapes_of(lambda: cls(config)), tensors)
        model = cls.build(config)
        model.load_state_dict(tensors)
        check_fingerprint(folder, document, model.fingerprint())
        return model
