"""Which tokens do the released AminoAseed and VanillaVQ checkpoints give a chain?"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.geometric_encoder import GeometricEncoder, from_esm_state_dict
from provq_protein.peers.esm_names import encoder_config
from provq_protein.quantize.nearest import nearest_codes
from provq_protein.runs.files import sha256_of
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.foreign import only_tensors, read_weights
from structtokenbench.tokenizers.protocol import (
    fingerprint_of,
    tokens_from_features,
    tokens_from_ids,
)
from structtokenbench.tokenizers.trained import Output

_REVISION = "1"
_TABLE = "quantizer.codebook.weight"
_MAP = "quantizer.linear_proj."


class ReleasedTokenizer:
    """
    A checkpoint of the published benchmark's own tokenizers.

    Parameters
    ----------
    weights : Path
        The ``.pt`` file of model states as it was released: a mapping whose entry ``module``
        holds the weights, each name beginning with ``model.``. The weights alone will do.
    name : str
        How reports call it.
    output : {"codes", "latents", "raw_codebook"}
        What the probe reads: ids with the effective codes; latents; or ids with the raw table,
        which differs for AminoAseed, and which most branches of the reference read.

    Raises
    ------
    CheckpointError
        If the file cannot be read or holds other weights.

    Notes
    -----
    The encoder is this project's `GeometricEncoder`, which computes the function of the
    reference. The reference gives all unresolved residues one and the same code; here they have
    no token.

    References
    ----------
    Yuan X., et al. Protein structure tokenization: benchmarking and new recipe. ICML (2025).
    """

    def __init__(self, weights: Path, *, name: str, output: Output = "codes") -> None:
        self.name = name
        self._output: Output = output
        state = _model_state(read_weights(weights), str(weights))
        encoder_state = _under(state, "encoder.")
        config = encoder_config(encoder_state, str(weights))
        self._encoder = GeometricEncoder(config).eval()
        try:
            from_esm_state_dict(self._encoder, encoder_state)
        except CheckpointError as error:
            msg = f"{weights}: {error}"
            raise CheckpointError(msg) from error
        raw, self._codes = _codes(state, config.latent_dim, str(weights))
        table = raw if output == "raw_codebook" else self._codes
        self._codebook = None if output == "latents" else table.numpy()
        self.fingerprint = fingerprint_of("released", _REVISION, output, sha256_of(weights))

    @property
    def codebook(self) -> npt.NDArray[np.float32] | None:
        """The code vectors, shape=(code, dim), dtype=float32; None if latents are read."""
        return self._codebook

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the tokens of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            A token at each resolved residue.

        Raises
        ------
        TokenFormatError
            If no residue is resolved.
        """
        if not chain.resolved.any():
            return tokens_from_ids(chain, chain.author_numbers, chain.resolved, name=self.name)
        latents = self._latents(chain)
        if self._output == "latents":
            return tokens_from_features(chain, latents.numpy(), chain.resolved, name=self.name)
        ids = nearest_codes(latents, self._codes).numpy()
        return tokens_from_ids(chain, ids, chain.resolved, name=self.name)

    def _latents(self, chain: Backbone) -> Tensor:
        resolved = torch.from_numpy(np.array(chain.resolved))[None]
        coords = torch.from_numpy(np.array(chain.coords, dtype=np.float32))[None]
        numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))[None]
        with torch.inference_mode():
            return self._encoder(coords, resolved, numbers, torch.ones_like(resolved))[0]


def _model_state(content: Mapping[str, object], where: str) -> dict[str, Tensor]:
    """Weights under their names in the model, wherever the file keeps them."""
    inner = content.get("module", content)
    if not isinstance(inner, Mapping):
        msg = f"{where}: entry 'module': expected a mapping of weights, got {type(inner).__name__}"
        raise CheckpointError(msg)
    state = only_tensors(inner, where)
    return _under(state, "model.") or state


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def _codes(state: Mapping[str, Tensor], dim: int, where: str) -> tuple[Tensor, Tensor]:
    """Raw table, and effective codes: the table itself, or a linear map of it."""
    raw = state.get(_TABLE)
    if raw is None or raw.ndim != 2 or raw.shape[1] != dim:
        found = "nothing" if raw is None else f"shape {tuple(raw.shape)}"
        msg = f"{where}: {_TABLE}: expected shape (code, {dim}), got {found}"
        raise CheckpointError(msg)
    raw = raw.float()
    linear = _under(state, _MAP)
    if not linear:
        return raw, raw
    shapes = {name: tuple(tensor.shape) for name, tensor in linear.items()}
    if shapes != {"weight": (dim, dim), "bias": (dim,)}:
        msg = f"{where}: {_MAP}: expected weight ({dim}, {dim}) and bias ({dim},), got {shapes}"
        raise CheckpointError(msg)
    return raw, raw @ linear["weight"].float().T + linear["bias"].float()
