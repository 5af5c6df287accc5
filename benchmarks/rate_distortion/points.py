"""In which ways are the chains coded and rebuilt that make up the curve?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from quantizers.compare import relative_distortion
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.model.chain_encoder import ChainEncoderConfig
from provq_protein.model.closed_loop import codes_along_chains
from provq_protein.quantize import kmeans, nearest_codes
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from rate_distortion.steps import coded_chain

FLOOR, OWN, KMEANS, RESIDUAL = "floor", "own", "kmeans", "residual"
STEPS, FOLLOWED = "steps", "followed"


@dataclass(frozen=True)
class Coded:
    """
    Latents after quantization.

    Parameters
    ----------
    latents : Tensor, shape=(latent, dim), dtype=float32
        What the decoder gets.
    indices : Tensor, shape=(coded, level), dtype=int64
        The codes whose rate is counted.
    leaps : Tensor, shape=(latent,), dtype=int64, or None
        Which of the model's codes for breaks each residue has, -1 where none.
    """

    latents: Tensor
    indices: Tensor
    leaps: Tensor | None = None


# Latents, shape=(latent, dim), and the chain whose resolved residues they are of (None: of many
# chains), to what becomes of them.
Quantize = Callable[[Tensor, Backbone | None], Coded]


@dataclass(frozen=True)
class Rebuilt:
    """
    A chain after coding.

    Parameters
    ----------
    alpha : ndarray, shape=(resolved, 3), dtype=float
        CA positions of its resolved residues, in Angstrom, in an arbitrary pose.
    indices : Tensor, shape=(coded, level), dtype=int64
        Its codes.
    squared_error : float or None
        Of the latents, summed; None where they play no part.
    """

    alpha: npt.NDArray[np.floating]
    indices: Tensor
    squared_error: float | None


@dataclass(frozen=True)
class Point:
    """
    One way of coding chains.

    Parameters
    ----------
    kind : str
        ``floor``, ``own``, ``kmeans``, ``residual``, ``steps`` or ``followed``.
    sizes : tuple of int
        Codes of each level; empty if nothing is quantized.
    rebuild : callable
        Called with a chain and the latents of its resolved residues, shape=(resolved, dim);
        returns `Rebuilt`.
    sample_distortion : float or None
        Of the latents that codes were fitted to, relative to their variance; None for steps.
    """

    kind: str
    sizes: tuple[int, ...]
    rebuild: Callable[[Backbone, Tensor], Rebuilt]
    sample_distortion: float | None

    @property
    def key(self) -> str:
        """Its name in results, for instance ``kmeans.1024``."""
        shown = {FLOOR: (), OWN: (), RESIDUAL: self.sizes[-1:]}.get(self.kind, self.sizes)
        return ".".join([self.kind, *(str(size) for size in shown)])

    @property
    def bits(self) -> float | None:
        """Logarithm of the number of codes, added over levels; None if nothing is quantized."""
        return sum(math.log2(size) for size in self.sizes) if self.sizes else None


def decoded(
    tokenizer: StructureTokenizer, chain: Backbone, latents: Tensor, leaps: Tensor | None = None
) -> npt.NDArray[np.float32]:
    """
    Return the CA positions that the model's decoder places.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        Has the decoder.
    chain : Backbone
        The chain, for its numbering and gaps.
    latents : Tensor, shape=(resolved, dim), dtype=float32
        Of the resolved residues.
    leaps : Tensor, shape=(resolved,), dtype=int64, optional
        As in `Coded`.

    Returns
    -------
    ndarray, shape=(resolved, 3), dtype=float32
        In Angstrom.
    """
    resolved = torch.tensor(chain.resolved)[None]
    numbers = torch.tensor(chain.author_numbers, dtype=torch.int64)[None]
    given = latents.new_zeros(1, len(chain), latents.shape[1])
    given[resolved] = latents
    everywhere = None
    if leaps is not None:
        everywhere = torch.full(resolved.shape, -1)
        everywhere[resolved] = leaps
    with torch.inference_mode():
        coords = tokenizer.model.decode_latents(
            given, resolved, numbers, torch.ones_like(resolved), leaps=everywhere
        )
    return coords[resolved][:, 1].float().numpy()


def floor_point(tokenizer: StructureTokenizer, sample: Tensor) -> Point:
    """
    Decode latents as they are.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    sample : Tensor, shape=(latent, dim), dtype=float32
        Latents of training chains.

    Returns
    -------
    Point
        Without a rate.
    """

    def keep(latents: Tensor, chain: Backbone | None) -> Coded:
        del chain
        return Coded(latents, torch.empty(len(latents), 0, dtype=torch.int64))

    return _latent_point(tokenizer, FLOOR, (), keep, sample)


def own_point(tokenizer: StructureTokenizer, sample: Tensor) -> Point:
    """
    Use the codes that the model was trained with.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    sample : Tensor, shape=(latent, dim), dtype=float32
        Latents of training chains.

    Returns
    -------
    Point
        The model as it is.
    """
    quantize = _own_codes(tokenizer)
    levels = quantize(sample[:1], None).indices.shape[1]
    return _latent_point(tokenizer, OWN, (tokenizer.codebook_size,) * levels, quantize, sample)


def kmeans_point(
    tokenizer: StructureTokenizer, sample: Tensor, size: int, *, iterations: int, seed: int
) -> Point:
    """
    Use centroids of the latents as codes; the decoder is not adapted to them.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    sample : Tensor, shape=(latent, dim), dtype=float32
        Latents of training chains.
    size : int
        Number of codes.
    iterations : int
        Of k-means, at most.
    seed : int
        Decides the centroids.

    Returns
    -------
    Point
        One level of codes.
    """
    codes = _fitted(sample, size, "latents", iterations=iterations, seed=seed)

    def quantize(latents: Tensor, chain: Backbone | None) -> Coded:
        coded = _chosen(tokenizer, nearest_codes(latents, codes), latents, codes, chain)
        # The model's codes for breaks come on top: they are not counted among these.
        counted = coded.indices if coded.leaps is None else coded.indices[coded.leaps < 0]
        return Coded(coded.latents, counted, coded.leaps)

    return _latent_point(tokenizer, KMEANS, (size,), quantize, sample)


def residual_point(
    tokenizer: StructureTokenizer, sample: Tensor, size: int, *, iterations: int, seed: int
) -> Point:
    """
    Add to the model's own codes a second level, of centroids of what they leave.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model; its decoder is not adapted to the second level.
    sample : Tensor, shape=(latent, dim), dtype=float32
        Latents of training chains.
    size : int
        Number of codes of the second level.
    iterations : int
        Of k-means, at most.
    seed : int
        Decides the centroids.

    Returns
    -------
    Point
        One level more than the model has.
    """
    own = _own_codes(tokenizer)
    first = own(sample, None)
    levels = first.indices.shape[1]
    codes = _fitted(sample - first.latents, size, "latents", iterations=iterations, seed=seed)

    def quantize(latents: Tensor, chain: Backbone | None) -> Coded:
        near = own(latents, chain)
        second = nearest_codes(latents - near.latents, codes)
        indices = torch.cat([near.indices, second[:, None]], dim=1)
        return Coded(near.latents + codes[second], indices, near.leaps)

    sizes = (*(tokenizer.codebook_size,) * levels, size)
    return _latent_point(tokenizer, RESIDUAL, sizes, quantize, sample)


def step_point(steps: Tensor, size: int, *, follow: bool, iterations: int, seed: int) -> Point:
    """
    Use centroids of the steps between bonded residues as codes, without any network.

    Parameters
    ----------
    steps : Tensor, shape=(bond, 12), dtype=float32
        Of training chains, from `steps.bonded_steps`.
    size : int
        Number of codes.
    follow : bool
        Choose codes along the chain instead of the nearest ones.
    iterations : int
        Of k-means, at most.
    seed : int
        Decides the centroids.

    Returns
    -------
    Point
        The baseline; true steps across breaks of the chain.
    """
    codes = _fitted(steps, size, "steps", iterations=iterations, seed=seed)

    def rebuild(chain: Backbone, latents: Tensor) -> Rebuilt:
        del latents
        alpha, indices = coded_chain(chain, codes, follow=follow)
        return Rebuilt(alpha, indices[:, None], None)

    return Point(FOLLOWED if follow else STEPS, (size,), rebuild, None)


def _own_codes(tokenizer: StructureTokenizer) -> Quantize:
    quantizer = tokenizer.model.quantizer

    @torch.no_grad()
    def quantize(latents: Tensor, chain: Backbone | None) -> Coded:
        indices = quantizer.encode(latents)
        if indices.ndim > 1:
            return Coded(quantizer.decode(indices), indices.reshape(len(latents), -1))
        codes = quantizer.decode(torch.arange(quantizer.codebook.size))
        return _chosen(tokenizer, indices, latents, codes, chain)

    return quantize


@torch.no_grad()
def _chosen(
    tokenizer: StructureTokenizer,
    nearest: Tensor,
    latents: Tensor,
    codes: Tensor,
    chain: Backbone | None,
) -> Coded:
    """Choose among codes as the model does: the nearest, or along the chain."""
    model = tokenizer.model
    config = model.config.encoder
    if chain is None or model.course is None or not isinstance(config, ChainEncoderConfig):
        return Coded(codes[nearest], nearest[:, None])
    resolved = torch.tensor(chain.resolved)[None]
    ids = torch.zeros(resolved.shape, dtype=torch.int64)
    given = latents.new_zeros(*resolved.shape, latents.shape[1])
    ids[resolved], given[resolved] = nearest, latents
    chosen = codes_along_chains(
        ids,
        given,
        codes,
        model.course,
        torch.from_numpy(np.nan_to_num(chain.coords))[None],
        resolved,
        drift_weight=config.drift_weight,
        breaks=model.breaks,
    )[resolved]
    if model.breaks is None:
        return Coded(codes[chosen], chosen[:, None])
    leaps = (chosen - len(codes)).clamp(min=-1)
    return Coded(torch.cat([codes, model.breaks.vectors])[chosen], chosen[:, None], leaps)


def _latent_point(
    tokenizer: StructureTokenizer,
    kind: str,
    sizes: tuple[int, ...],
    quantize: Quantize,
    sample: Tensor,
) -> Point:
    def rebuild(chain: Backbone, latents: Tensor) -> Rebuilt:
        coded = quantize(latents, chain)
        error = float((latents - coded.latents).double().square().sum())
        alpha = decoded(tokenizer, chain, coded.latents, coded.leaps)
        return Rebuilt(alpha, coded.indices, error)

    return Point(kind, sizes, rebuild, relative_distortion(sample, quantize(sample, None).latents))


def _fitted(sample: Tensor, size: int, what: str, *, iterations: int, seed: int) -> Tensor:
    if not 1 <= size <= len(sample):
        msg = (
            f"cannot fit {size} codes to {len(sample)} {what} of training chains; "
            "ask for at least 1 code and for no more than there are, or raise --latents"
        )
        raise ConfigError(msg)
    generator = torch.Generator().manual_seed(seed)
    return kmeans(sample, size, generator=generator, iterations=iterations)
