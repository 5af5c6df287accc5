"""How are encoder, quantizer and decoder of images wired into one model?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from provq_protein.quantize import (
    ALWAYS_HARD,
    ProgressiveQuantizer,
    ProgressiveSchedule,
    Quantized,
    SphericalCodebook,
    build_method,
)
from provq_protein.runs.shapes import shapes_of
from provq_vision.model import folder as model_folder
from provq_vision.model.config import CodebookConfig, ImageModelConfig
from provq_vision.model.convolutional import (
    IMAGE_CHANNELS,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
)


@dataclass(frozen=True, eq=False)
class ImageAutoencoderOutput:
    """
    What `ImageAutoencoder` returns in training.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=float
        The reconstruction, not clamped.
    quantization_loss : Tensor, shape=(), dtype=float32
        The codebook and commitment losses with their weights (Eq. 4 of the paper), to be added to
        the losses of the reconstruction. Zero in the warm-up.
    quantized : Quantized
        From the quantizer; its tensors have axes (batch, row, column, ...). Its `indices` are
        those of the codes, -1 in the warm-up.
    """

    images: Tensor
    quantization_loss: Tensor
    quantized: Quantized

    @property
    def indices(self) -> Tensor:
        """Indices of the codes, shape=(batch, row, column), dtype=int64; -1 in the warm-up."""
        return self.quantized.indices


class ImageAutoencoder(nn.Module):
    """
    Convolutional encoder, quantizer and decoder of images (the tokenizer of LlamaGen).

    Parameters
    ----------
    config : ImageModelConfig
        The parts and their sizes.
    schedule : ProgressiveSchedule, optional
        The curriculum to train with; by default quantization is hard from the start.

    Notes
    -----
    An image of any size that is a multiple of the downsampling f is h x w latents with
    ``h = height / f`` and ``w = width / f``. Two 1 x 1 convolutions lead from the features of the
    encoder to the latents, and from the codes to those of the decoder.

    In the warm-up the decoder gets the continuous latents, which a spherical codebook normalizes
    there as well, so that nothing jumps when the transition begins. The codebook has no part in
    the loss then; its parameters get gradients of exactly zero, because DistributedDataParallel
    takes a parameter without a gradient for a mistake.

    References
    ----------
    .. [1] Sun et al., "Autoregressive model beats diffusion: Llama for scalable image generation"
       (LlamaGen), arXiv:2406.06525.
    .. [2] Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for
       Robust Vector Tokenization" (ProVQ), arXiv:2603.22304.

    Examples
    --------
    >>> from provq_vision.model.config import NETWORKS
    >>> config = ImageModelConfig(
    ...     network=NETWORKS["small"],
    ...     codebook=CodebookConfig(method="vanilla", size=32, dim=8, commitment_weight=0.25),
    ... )
    >>> model = ImageAutoencoder.build(config)
    >>> indices = model.encode(torch.zeros(1, 3, 64, 32))
    >>> indices.shape
    torch.Size([1, 16, 8])
    >>> model.decode(indices).shape
    torch.Size([1, 3, 64, 32])
    """

    def __init__(
        self, config: ImageModelConfig, schedule: ProgressiveSchedule = ALWAYS_HARD
    ) -> None:
        super().__init__()
        self.config = config
        network, dim = config.network, config.codebook.dim
        self.encoder = ConvolutionalEncoder(network)
        self.quant_conv = nn.Conv2d(network.latent_channels, dim, 1)
        self.quantizer = _quantizer(config.codebook, schedule)
        self.post_quant_conv = nn.Conv2d(dim, network.latent_channels, 1)
        self.decoder = ConvolutionalDecoder(network)

    @classmethod
    def build(
        cls,
        config: ImageModelConfig,
        *,
        seed: int = 0,
        schedule: ProgressiveSchedule = ALWAYS_HARD,
    ) -> "ImageAutoencoder":
        """
        Build a model with fresh weights, in eval mode.

        Parameters
        ----------
        config : ImageModelConfig
            The parts and their sizes.
        seed : int
            Decides the weights; the global random state is left as it was.
        schedule : ProgressiveSchedule
            The curriculum to train with.

        Returns
        -------
        ImageAutoencoder
            An untrained model.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, schedule).eval()

    @classmethod
    def shapes(cls, config: ImageModelConfig) -> dict[str, torch.Size]:
        """
        Return the names and shapes of the tensors of a model, without making them.

        Parameters
        ----------
        config : ImageModelConfig
            The parts and their sizes.

        Returns
        -------
        dict of str to torch.Size
            Of its state dict.
        """
        if config.codebook.method == "rvq":
            # Residual codebooks read a flag while they are made, which needs memory to be in.
            return {name: value.shape for name, value in cls(config).state_dict().items()}
        return shapes_of(lambda: cls(config))

    @property
    def last_layer(self) -> Tensor:
        """The last weight before the image, where adaptive loss weights compare gradients."""
        return self.decoder.conv_out.weight

    def codebook(self) -> Tensor:
        """
        Return the effective codes.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Detached; on the unit sphere where the codebook is. Residual codebooks have a leading
            axis of levels.
        """
        return self.quantizer.codebook.codes().detach()

    def forward(self, images: Tensor, *, step: int | None = None) -> ImageAutoencoderOutput:
        """
        Encode, quantize and decode a batch.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors in [-1, 1]; height and width are multiples of the downsampling.
        step : int, optional
            Optimizer steps done so far, for the curriculum. Without it, or in eval mode,
            quantization is hard.

        Returns
        -------
        ImageAutoencoderOutput
            Reconstruction, quantization loss, and what the quantizer returned.

        Raises
        ------
        ValueError
            If the shape does not fit, or latents are not finite.
        """
        quantized = self.quantizer(self.embed(images), step=step)
        loss = self.quantizer.vq_loss(quantized)
        if self.training and step is not None and self._is_warmup(step):
            # Not multiplied after a sum: an overflow there would make it NaN.
            loss = loss + sum((0.0 * each).sum() for each in self.quantizer.codebook.parameters())
        return ImageAutoencoderOutput(
            images=self.decode_latents(quantized.latents),
            quantization_loss=loss,
            quantized=quantized,
        )

    def embed(self, images: Tensor) -> Tensor:
        """
        Return latents before quantization.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            As `forward`.

        Returns
        -------
        Tensor, shape=(batch, row, column, dim), dtype=float
            Latents; not normalized, also where the codebook is spherical.

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        self._check_images(images)
        return self.quant_conv(self.encoder(images)).permute(0, 2, 3, 1)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """
        Return the index of each latent's code.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            As `forward`.

        Returns
        -------
        Tensor, shape=(batch, row, column), dtype=int64
            Indices; with a last axis of levels where the codebook is residual.

        Raises
        ------
        ValueError
            If the shape does not fit, or latents are not finite.
        """
        return self.quantizer.encode(self.embed(images))

    def decode(self, indices: Tensor) -> Tensor:
        """
        Return images from code indices.

        Parameters
        ----------
        indices : Tensor, shape=(batch, row, column), dtype=int64
            As `encode` returns them, of any number of rows and columns.

        Returns
        -------
        Tensor, shape=(batch, 3, height, width), dtype=float
            The reconstruction, equal to that of `forward` in eval mode; not clamped.

        Raises
        ------
        ValueError
            If the shape does not fit, or an index is no code.
        """
        axes = 3 + len(self.quantizer.codebook.index_shape)
        if indices.ndim != axes or indices.dtype.is_floating_point:
            msg = (
                f"indices: expected integers with {axes} axes (batch, row, column"
                f"{', level' if axes > 3 else ''}), got {indices.dtype} of shape "
                f"{tuple(indices.shape)}"
            )
            raise ValueError(msg)
        return self.decode_latents(self.quantizer.decode(indices))

    def decode_latents(self, latents: Tensor) -> Tensor:
        """
        Return images from latents without quantization.

        Parameters
        ----------
        latents : Tensor, shape=(batch, row, column, dim), dtype=float
            Codes or, from a model that was trained so, continuous latents; on the unit sphere
            where the codebook is.

        Returns
        -------
        Tensor, shape=(batch, 3, height, width), dtype=float
            The reconstruction, not clamped.
        """
        # Contiguous, because convolutions of another memory layout round differently.
        return self.decoder(self.post_quant_conv(latents.permute(0, 3, 1, 2).contiguous()))

    def fingerprint(self) -> str:
        """
        Return 16 hex digits that are equal exactly if ids mean the same.

        Returns
        -------
        str
            SHA-256 over the configuration and the tensors of all parts but the decoder: a better
            decoder for the same ids keeps them valid.
        """
        return model_folder.fingerprint(self.config, self.state_dict())

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
        model_folder.write(folder, self.config, self.state_dict(), training=training)

    @classmethod
    def load(
        cls, folder: Path, *, schedule: ProgressiveSchedule = ALWAYS_HARD
    ) -> "ImageAutoencoder":
        """
        Read a model folder.

        Parameters
        ----------
        folder : Path
            As `save` wrote it.
        schedule : ProgressiveSchedule
            The curriculum, for who trains it further.

        Returns
        -------
        ImageAutoencoder
            In eval mode.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the version is unknown, or weights and configuration
            do not belong together.
        """
        config, tensors = model_folder.read(folder, cls.shapes)
        model = cls.build(config, schedule=schedule)
        model.load_state_dict(tensors)
        return model

    def _is_warmup(self, step: int) -> bool:
        return self.quantizer.schedule.stage(step) == "warmup"

    def _check_images(self, images: Tensor) -> None:
        factor = self.config.network.downsampling
        fits = (
            images.ndim == 4
            and images.shape[1] == IMAGE_CHANNELS
            and min(images.shape[2:]) > 0
            and not any(size % factor for size in images.shape[2:])
            and images.dtype.is_floating_point
        )
        if not fits:
            msg = (
                f"images: expected floats of shape (batch, {IMAGE_CHANNELS}, height, width) with "
                f"height and width multiples of {factor}, got {images.dtype} of "
                f"{tuple(images.shape)}; crop or pad the images"
            )
            raise ValueError(msg)


def _quantizer(config: CodebookConfig, schedule: ProgressiveSchedule) -> ProgressiveQuantizer:
    # Methods without a commitment loss keep its weight of 0.
    own = {"diveq": 0.0, "fsq": 0.0}
    quantizer = build_method(
        config.method,
        size=config.size,
        dim=config.dim,
        schedule=schedule,
        commitment_weight=own.get(config.method, config.commitment_weight),
    )
    if config.method == "vanilla_l2" and isinstance(quantizer.codebook, SphericalCodebook):
        # Only directions count, but an optimizer turns a longer vector more slowly; LlamaGen's
        # start with length 1 and so do ours.
        with torch.no_grad():
            inner = quantizer.codebook.inner
            for table in inner.parameters():
                table.copy_(quantizer.codebook.codes())
    return quantizer
