"""Which tokens does ESM3 give a chain, with weights that the user has?"""

import importlib.metadata
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.errors import CheckpointError
from provq_protein.peers.esm_names import encoder_config
from provq_protein.runs.files import sha256_of
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.foreign import (
    only_tensors,
    read_weights,
    require_unlisted,
)
from structtokenbench.tokenizers.protocol import fingerprint_of, tokens_from_ids

_REVISION = "1"
_ATOMS = 37
_CODES = "codebook.embeddings"
_INSTALL = (
    "pip install --no-deps esm==3.2.1.post1, and pip install einops cloudpathlib zstd "
    "'huggingface-hub<1'"
)


class Esm3Tokenizer:
    """
    ESM3's structure encoder, as the ``esm`` package has it.

    Parameters
    ----------
    weights : Path
        ``esm3_structure_encoder_v0.pth``, under the licence of its makers.

    Raises
    ------
    CheckpointError
        If the file cannot be read or holds other weights.
    MissingExtraError
        If ``esm`` is not installed.

    Notes
    -----
    Author residue numbers are passed on, so that gaps in the numbering are seen. ESM3 gives all
    unresolved residues one and the same code; here they have no token.

    References
    ----------
    Hayes T., et al. Simulating 500 million years of evolution with a language model. Science 387,
    850-858 (2025).
    """

    def __init__(self, weights: Path) -> None:
        self.name = f"esm3:{weights}"
        vqvae = require_unlisted(
            "esm.models.vqvae", purpose="the tokenizer 'esm3'", install=_INSTALL
        )
        normalizing = require_unlisted(
            "esm.utils.structure.normalize_coordinates",
            purpose="the tokenizer 'esm3'",
            install=_INSTALL,
        )
        state = only_tensors(read_weights(weights), str(weights))
        config = encoder_config(state, str(weights))
        if _CODES not in state or state[_CODES].shape[1:] != (config.latent_dim,):
            found = tuple(state[_CODES].shape) if _CODES in state else "nothing"
            msg = f"{weights}: {_CODES}: expected (code, {config.latent_dim}), got {found}"
            raise CheckpointError(msg)
        self._normalize = normalizing.normalize_coordinates
        self._encoder = vqvae.StructureTokenEncoder(
            d_model=config.width,
            n_heads=1,
            v_heads=config.vector_heads,
            n_layers=config.blocks,
            d_out=config.latent_dim,
            n_codes=len(state[_CODES]),
        ).eval()
        try:
            self._encoder.load_state_dict(state)
        except RuntimeError as error:
            msg = f"{weights}: does not fit ESM3's structure encoder: {error}"
            raise CheckpointError(msg) from error
        self._codebook = state[_CODES].float().numpy()
        version = importlib.metadata.version("esm")
        self.fingerprint = fingerprint_of("esm3", _REVISION, version, sha256_of(weights))

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """The code vectors, shape=(code, dim), dtype=float32; ESM3 has 4096 of 128."""
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
        atoms = torch.full((len(chain), _ATOMS, 3), torch.nan)
        atoms[:, :3] = torch.from_numpy(
            np.where(chain.resolved[:, None, None], chain.coords, np.float32(np.nan))
        )
        numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))
        with torch.inference_mode(), warnings.catch_warnings():
            # Calls of esm that torch is about to drop; nothing that a user could change.
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
            coords = self._normalize(atoms)[None]
            _, ids = self._encoder.encode(coords, residue_index=numbers[None])
        return tokens_from_ids(chain, ids[0].numpy(), chain.resolved, name=self.name)
