"""Which tokens, or latents, does a trained tokenizer of this project give a chain?"""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.errors import ConfigError
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.protocol import (
    fingerprint_of,
    tokens_from_features,
    tokens_from_ids,
)

Output = Literal["codes", "latents", "raw_codebook"]

# Raised when this module starts to turn the same model output into other tokens.
_REVISION = "1"


class TrainedTokenizer:
    """
    A model folder of this project, seen by the benchmark.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        A trained model.
    name : str
        How reports call it.
    output : {"codes", "latents", "raw_codebook"}
        What the probe reads: ids with the effective codes; the vectors before quantization; or
        ids with the table that the effective codes are made of, which differs from them where
        a codebook is a map of a frozen table.

    Raises
    ------
    ConfigError
        If the raw table does not have one row per id.

    Notes
    -----
    The reference implementation reads the raw table of its AminoAseed model, nearly orthogonal
    noise whose geometry says nothing, in all but one of its branches. The effective codes are
    the default here, and ``"raw_codebook"`` repeats the reference.
    """

    def __init__(
        self, tokenizer: StructureTokenizer, *, name: str, output: Output = "codes"
    ) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._output: Output = output
        self._codebook = self._table()
        self.fingerprint = fingerprint_of(
            "provq", _REVISION, tokenizer.fingerprint, output, self._table_bytes()
        )

    @classmethod
    def load(cls, model: str, *, name: str, output: Output = "codes") -> "TrainedTokenizer":
        """
        Load a model folder.

        Parameters
        ----------
        model : str
            A folder, or ``"default"`` for the shipped model.
        name : str
            How reports call it.
        output : {"codes", "latents", "raw_codebook"}
            What the probe reads.

        Returns
        -------
        TrainedTokenizer
            On the CPU.

        Raises
        ------
        CheckpointError
            If the folder is absent, incomplete or damaged.
        """
        folder = None if model == "default" else Path(model)
        return cls(StructureTokenizer.from_pretrained(folder), name=name, output=output)

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
            A chain with at least one resolved residue.

        Returns
        -------
        ChainTokens
            A token at each resolved residue.

        Raises
        ------
        StructureError
            If the chain cannot be encoded.
        """
        if self._output == "latents":
            latents = self._tokenizer.embed([chain])[0]
            return tokens_from_features(chain, latents, chain.resolved, name=self.name)
        ids = self._tokenizer.encode([chain])[0].ids
        return tokens_from_ids(chain, ids, chain.resolved, name=self.name)

    def _table(self) -> npt.NDArray[np.float32] | None:
        if self._output == "latents":
            return None
        if self._output == "codes":
            return self._tokenizer.codebook
        with torch.inference_mode():
            raw = self._tokenizer.model.quantizer.codebook.raw_codes().float().cpu().numpy()
        if raw.ndim != 2 or len(raw) != self._tokenizer.codebook_size:
            msg = (
                f"{self.name}: the raw table has shape {raw.shape}, which is not one row for each "
                f"of {self._tokenizer.codebook_size} ids; use the effective codes"
            )
            raise ConfigError(msg)
        return np.array(raw)

    def _table_bytes(self) -> bytes:
        return b"" if self._codebook is None else self._codebook.tobytes()
