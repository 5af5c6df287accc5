"""What is compared: ESM3's structure encoder, ours with the same weights, and the shipped model?"""

import copy
from typing import Any

import torch
from torch import Tensor

from encode_speed.chains import as_batch
from provq_protein.extras import require_extra
from provq_protein.model.fast_encoding import FastCalibration, FastEncoder, FastReport
from provq_protein.model.geometric_encoder import (
    GeometricEncoder,
    GeometricEncoderConfig,
    from_esm_state_dict,
)
from provq_protein.quantize.kmeans import kmeans
from provq_protein.quantize.nearest import nearest_codes
from provq_protein.structure.backbone import Backbone

NUM_CODES = 4096
_LATENT_DIM = 128
_KMEANS_ITERATIONS = 8


def build_pair(*, seed: int) -> tuple[Any, GeometricEncoder]:
    """
    Build both encoders at ESM3's size, with the same random weights.

    Parameters
    ----------
    seed : int
        Decides the weights. ESM3's own are not freely licensed.

    Returns
    -------
    reference : StructureTokenEncoder
        Of the package ``esm``.
    encoder : GeometricEncoder
        Ours.
    """
    vqvae = require_extra("esm.models.vqvae", extra="parity", purpose="the reference encoder")
    torch.manual_seed(seed)
    reference = vqvae.StructureTokenEncoder(1024, 1, 128, 2, _LATENT_DIM, NUM_CODES).eval()
    encoder = GeometricEncoder(GeometricEncoderConfig(latent_dim=_LATENT_DIM)).eval()
    from_esm_state_dict(encoder, reference.state_dict())
    return reference, encoder


def fit_codes(encoder: GeometricEncoder, chains: list[Backbone], *, seed: int) -> Tensor:
    """
    Cluster latents into as many codes as ESM3 has.

    Parameters
    ----------
    encoder : GeometricEncoder
        Makes the latents.
    chains : list of Backbone
        Other chains than those that are measured.
    seed : int
        Of k-means.

    Returns
    -------
    Tensor, shape=(code, latent_dim), dtype=float32
        Centroids.
    """
    latents = torch.cat([exact_latents(encoder, chain) for chain in chains])
    generator = torch.Generator().manual_seed(seed)
    return kmeans(latents, NUM_CODES, generator=generator, iterations=_KMEANS_ITERATIONS)


def reference_ids(reference: Any, chain: Backbone) -> Tensor:  # noqa: ANN401
    """
    Encode a chain as the package ``esm`` does.

    Parameters
    ----------
    reference : StructureTokenEncoder
        With the codes to choose from.
    chain : Backbone
        One chain.

    Returns
    -------
    Tensor, shape=(resolved,), dtype=int64
        Ids of the residues that have coordinates.
    """
    coords, resolved, numbers, _ = as_batch(chain)
    origin = torch.nanmean(coords[:, :, 1], dim=1)
    atoms = torch.full((1, len(chain), 37, 3), torch.nan)
    atoms[:, :, :3] = coords - origin[:, None, None]
    _, ids = reference.encode(atoms, residue_index=numbers)
    return ids[resolved]


def reference_latents(reference: Any, chain: Backbone) -> Tensor:  # noqa: ANN401
    """
    Return what the reference has before it chooses codes.

    Parameters
    ----------
    reference : StructureTokenEncoder
        The reference.
    chain : Backbone
        One chain.

    Returns
    -------
    Tensor, shape=(resolved, latent_dim), dtype=float32
        Latents of the residues that have coordinates.
    """
    seen: list[Tensor] = []
    hook = reference.pre_vq_proj.register_forward_hook(lambda *call: seen.append(call[2].clone()))
    try:
        reference_ids(reference, chain)
    finally:
        hook.remove()
    return seen[0][as_batch(chain)[1]]


def precise_latents(encoder: GeometricEncoder, chain: Backbone) -> Tensor:
    """
    Encode a chain in double precision, without any of the shortcuts of evaluation.

    Parameters
    ----------
    encoder : GeometricEncoder
        Ours.
    chain : Backbone
        One chain.

    Returns
    -------
    Tensor, shape=(resolved, latent_dim), dtype=float64
        Latents of the residues that have coordinates.
    """
    coords, resolved, numbers, present = as_batch(chain)
    # With gradients the network is evaluated layer by layer, as it is trained.
    with torch.inference_mode(mode=False), torch.enable_grad():
        batch = (coords.double(), resolved.clone(), numbers.clone(), present.clone())
        return copy.deepcopy(encoder).double()(*batch)[batch[1]].detach()


def exact_latents(encoder: GeometricEncoder, chain: Backbone) -> Tensor:
    """
    Encode a chain in full precision.

    Parameters
    ----------
    encoder : GeometricEncoder
        Ours.
    chain : Backbone
        One chain.

    Returns
    -------
    Tensor, shape=(resolved, latent_dim), dtype=float32
        Latents of the residues that have coordinates.
    """
    batch = as_batch(chain)
    return encoder(*batch)[batch[1]]


def exact_ids(encoder: GeometricEncoder, codes: Tensor, chain: Backbone) -> Tensor:
    """
    Encode a chain in full precision.

    Parameters
    ----------
    encoder : GeometricEncoder
        Ours.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        To choose from.
    chain : Backbone
        One chain.

    Returns
    -------
    Tensor, shape=(resolved,), dtype=int64
        Ids of the residues that have coordinates.
    """
    return nearest_codes(exact_latents(encoder, chain), codes)


def fast_ids(
    fast: FastEncoder, calibration: FastCalibration, chain: Backbone
) -> tuple[Tensor, FastReport]:
    """
    Encode a chain in low precision where that is safe.

    Parameters
    ----------
    fast : FastEncoder
        Ours.
    calibration : FastCalibration
        Of the same model.
    chain : Backbone
        One chain.

    Returns
    -------
    ids : Tensor, shape=(resolved,), dtype=int64
        Ids of the residues that have coordinates.
    report : FastReport
        What was done.
    """
    batch = as_batch(chain)
    ids, report = fast.encode(batch, calibration)
    return ids[batch[1]], report
