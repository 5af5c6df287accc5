"""How do structures become tokens, and tokens structures, with a trained model?"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provq_protein.errors import CheckpointError, TokenFormatError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.inputs import InputProblem as InputProblem
from provq_protein.tokens.inputs import OnProblem, StructureInput, per_chain
from provq_protein.tokens.sequence import UNRESOLVED_ID, TokenSequence


class StructureTokenizer:
    """
    Translate protein chains into discrete tokens, and back into backbone coordinates.

    Parameters
    ----------
    model : StructureAutoencoder
        A trained model; it is put into evaluation mode.
    name : str, optional
        What to call it in messages.

    Notes
    -----
    Chains are encoded one at a time, from their coordinates and author numbers alone: other
    chains of the file, or of the call, cannot change a token. Tokens are unchanged by
    rotation and translation, up to rounding, and change under reflection.

    With the shipped model:

    .. code-block:: python

        tokenizer = StructureTokenizer.from_pretrained()
        tokens = tokenizer.encode(["1abc.cif"])
        backbones = tokenizer.decode(tokens)
    """

    def __init__(self, model: StructureAutoencoder, *, name: str = "model") -> None:
        self.model = model.eval()
        self.name = name

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None) -> "StructureTokenizer":
        """
        Load a trained tokenizer.

        Parameters
        ----------
        model : str or Path, optional
            A model folder. By default the model that is shipped with the package.

        Returns
        -------
        StructureTokenizer
            On the CPU.

        Raises
        ------
        CheckpointError
            If the folder is absent, incomplete or damaged.
        """
        if model is not None:
            return cls(StructureAutoencoder.load(Path(model)), name=os.fspath(model))
        folder = Path(str(resources.files("provq_protein").joinpath("models", "default")))
        if not folder.is_dir():
            msg = (
                f"{folder}: this installation contains no default model; install provq from a "
                "complete wheel, or name a model folder"
            )
            raise CheckpointError(msg)
        return cls(StructureAutoencoder.load(folder), name="default")

    @cached_property
    def fingerprint(self) -> str:
        """Identity of encoder and codebook: equal fingerprints give tokens equal meaning."""
        return self.model.fingerprint()

    @property
    def codebook_size(self) -> int:
        """Number of codes: ids lie in ``[0, codebook_size)``."""
        return int(self.model.codebook_size)

    @cached_property
    def codebook(self) -> NDArray[np.float32]:
        """The code vectors: float32 (code, dim), read-only."""
        with torch.inference_mode():
            codes = np.array(self.model.codebook().float().cpu().numpy())
        codes.setflags(write=False)
        return codes

    def encode(
        self,
        inputs: Iterable[StructureInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
    ) -> list[TokenSequence]:
        """
        Return the tokens of every chain.

        Parameters
        ----------
        inputs : iterable of str, Path or Backbone
            Structure files, of which every polypeptide chain is encoded, or chains.
        chains : sequence of str, optional
            Author chain ids to encode; by default all.
        on_problem : callable, optional
            Called with an `InputProblem` for each file or chain that cannot be encoded, while
            the others are. Without it, the first problem is raised.

        Returns
        -------
        list of TokenSequence
            In the order of the inputs, and of the chains in each file.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        """
        return list(self.iter_encode(inputs, chains=chains, on_problem=on_problem))

    def iter_encode(
        self,
        inputs: Iterable[StructureInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
    ) -> Iterator[TokenSequence]:
        """
        Yield the tokens of one chain after another, as soon as they are known.

        Parameters
        ----------
        inputs : iterable of str, Path or Backbone
            As in `encode`; may be without end.
        chains : sequence of str, optional
            As in `encode`.
        on_problem : callable, optional
            As in `encode`.

        Returns
        -------
        iterator of TokenSequence
            In the order of the inputs, and of the chains in each file.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        """
        return per_chain(self._tokens, inputs, chains=chains, on_problem=on_problem)

    def embed(
        self,
        inputs: Iterable[StructureInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
    ) -> list[NDArray[np.float32]]:
        """
        Return the latents of every chain, before quantization.

        Parameters
        ----------
        inputs : iterable of str, Path or Backbone
            As in `encode`.
        chains : sequence of str, optional
            As in `encode`.
        on_problem : callable, optional
            As in `encode`.

        Returns
        -------
        list of ndarray, shape=(residue, dim), dtype=float32
            One per chain, in the order of `encode`; *NaN* at unresolved residues.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        """
        return list(per_chain(self._latents, inputs, chains=chains, on_problem=on_problem))

    def decode(self, tokens: Iterable[TokenSequence]) -> list[Backbone]:
        """
        Return the backbone that each token sequence stands for.

        Parameters
        ----------
        tokens : iterable of TokenSequence
            Made by this model.

        Returns
        -------
        list of Backbone
            One per sequence, with its numbering and names; coordinates in Angstrom in an
            arbitrary frame, *NaN* at unresolved residues.

        Raises
        ------
        TokenFormatError
            If another model made the tokens; nothing is decoded then.
        """
        tokens = list(tokens)
        for sequence in tokens:
            self.check_fingerprint(sequence)
        return [self._backbone(sequence) for sequence in tokens]

    def check_fingerprint(self, tokens: TokenSequence) -> None:
        """
        Refuse tokens that mean something else to this model.

        Parameters
        ----------
        tokens : TokenSequence
            One chain.

        Raises
        ------
        TokenFormatError
            If another model made them.
        """
        if tokens.fingerprint != self.fingerprint:
            msg = (
                f"{tokens.source or 'tokens'}: chain {tokens.chain_id}: encoded by the model with "
                f"fingerprint {tokens.fingerprint}, but {self.name!r} has {self.fingerprint}; "
                "decode with the model that encoded, or encode the structure again"
            )
            raise TokenFormatError(msg)
        if tokens.codebook_size != self.codebook_size:
            msg = (
                f"{tokens.source or 'tokens'}: chain {tokens.chain_id}: codebook_size is "
                f"{tokens.codebook_size}, but the model with this fingerprint has "
                f"{self.codebook_size}; the tokens are damaged, encode the structure again"
            )
            raise TokenFormatError(msg)

    def _tokens(self, chain: Backbone) -> TokenSequence:
        with torch.inference_mode():
            ids = self.model.encode(*self._tensors(chain))[0].cpu().numpy()
        return TokenSequence(
            ids=np.where(chain.resolved, ids, UNRESOLVED_ID),
            resolved=chain.resolved,
            sequence=chain.sequence,
            residue_names=chain.residue_names,
            author_numbers=chain.author_numbers,
            insertion_codes=chain.insertion_codes,
            label_numbers=chain.label_numbers,
            chain_id=chain.chain_id,
            label_chain_id=chain.label_chain_id,
            source=chain.source,
            model=chain.model,
            fingerprint=self.fingerprint,
            codebook_size=self.codebook_size,
            mean_plddt=_mean_plddt(chain),
        )

    def _latents(self, chain: Backbone) -> NDArray[np.float32]:
        with torch.inference_mode():
            latents = self.model.embed(*self._tensors(chain))[0].float().cpu().numpy()
        return np.where(chain.resolved[:, None], latents, np.float32(np.nan))

    def _backbone(self, tokens: TokenSequence) -> Backbone:
        coords = np.full((len(tokens), 3, 3), np.nan, dtype=np.float32)
        if tokens.resolved.any():
            coords[tokens.resolved] = self._decoded(tokens)[tokens.resolved]
        return Backbone(
            coords=coords,
            resolved=tokens.resolved,
            sequence=tokens.sequence,
            residue_names=tokens.residue_names,
            author_numbers=tokens.author_numbers,
            insertion_codes=tokens.insertion_codes,
            label_numbers=tokens.label_numbers,
            b_factors=np.full(len(tokens), np.nan, dtype=np.float32),
            confidence="b_factor",
            chain_id=tokens.chain_id,
            label_chain_id=tokens.label_chain_id,
            source=tokens.source,
            model=tokens.model,
        )

    def _decoded(self, tokens: TokenSequence) -> NDArray[np.float32]:
        # The model takes no -1; what it gets at unresolved residues it ignores.
        ids = np.where(tokens.resolved, tokens.ids, 0).astype(np.int64)
        mapping = self._mapping(tokens.resolved, tokens.author_numbers)
        with torch.inference_mode():
            return self.model.decode(self._batch_of_one(ids), *mapping)[0].float().cpu().numpy()

    def _tensors(self, chain: Backbone) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Coordinates and mapping of one chain, as a batch of one."""
        coords = self._batch_of_one(_centered(chain))
        return coords, *self._mapping(chain.resolved, chain.author_numbers)

    def _mapping(
        self, resolved: NDArray[np.bool_], author_numbers: NDArray[np.int32]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks and numbers in the order in which the model's methods take them."""
        mask = self._batch_of_one(resolved)
        numbers = self._batch_of_one(author_numbers.astype(np.int64))
        return mask, numbers, torch.ones_like(mask)

    def _batch_of_one(self, values: NDArray[np.generic]) -> Tensor:
        # Copied, since the arrays of a frozen type are not torch's to write to.
        device = next(self.model.parameters()).device
        return torch.from_numpy(np.array(values)).to(device)[None]


def _centered(chain: Backbone) -> NDArray[np.float32]:
    """Coordinates relative to the mean CA, where float32 is most exact; unresolved are zero."""
    coords = chain.coords.astype(np.float64)
    center = coords[chain.resolved, 1].mean(axis=0)
    return np.where(chain.resolved[:, None, None], coords - center, 0.0).astype(np.float32)


def _mean_plddt(chain: Backbone) -> float | None:
    """Mean pLDDT of the resolved residues, to two decimals; None if the chain has none."""
    values = chain.b_factors[chain.resolved]
    values = values[np.isfinite(values)]
    if chain.confidence != "plddt" or not values.size or values.min() < 0 or values.max() > 100:
        return None
    return round(math.fsum(values.tolist()) / values.size, 2)
