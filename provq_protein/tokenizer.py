"""How do structures become tokens, and tokens structures, with a trained model?"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provq_protein.errors import TokenFormatError
from provq_protein.hub.folders import model_folder, model_name
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.complexes import ComplexTokens
from provq_protein.model.fast_encoding import FastReport
from provq_protein.model.fast_ids import FastIds, obstacle
from provq_protein.model.saving import SavedModel
from provq_protein.precision import Precision, check_precision
from provq_protein.runs.documents import read_origin
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.tokens.inputs import InputProblem as InputProblem
from provq_protein.tokens.inputs import OnProblem, StructureInput, per_chain
from provq_protein.tokens.of_chain import centered, tokens_of
from provq_protein.tokens.sequence import TokenSequence


class StructureTokenizer(ComplexTokens, SavedModel):
    """
    Translate protein chains into discrete tokens, and back into backbone coordinates.

    Parameters
    ----------
    model : StructureAutoencoder
        A trained model; it is put into evaluation mode.
    name : str, optional
        What to call it in messages.
    precision : {"exact", "fast"}
        ``"fast"`` multiplies matrices in bfloat16 and encodes again, in float32, the residues
        whose id rounding could have changed, and a sample of the others (`fast_report`). Where
        that is of no use to the model or on its device, ids are computed as with ``"exact"``
        (`exact_because`).

    Raises
    ------
    ConfigError
        If there is no such precision.

    Notes
    -----
    Chains are encoded one at a time, from their coordinates and author numbers alone: other
    chains of the file, or of the call, cannot change a token (`encode_complex` is for when they
    should). Tokens are unchanged by rotation and translation, up to rounding, and change under
    reflection.

    With the shipped model:

    .. code-block:: python

        tokenizer = StructureTokenizer.from_pretrained()
        tokens = tokenizer.encode(["1abc.cif"])
        backbones = tokenizer.decode(tokens)
    """

    def __init__(
        self,
        model: StructureAutoencoder,
        *,
        name: str = "model",
        precision: Precision = "exact",
    ) -> None:
        check_precision(precision)
        self.model = model.eval()
        self.name = name
        self.precision: Precision = precision
        self.origin = None

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        precision: Precision = "exact",
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> "StructureTokenizer":
        """
        Load a trained tokenizer.

        Parameters
        ----------
        model : str or Path, optional
            A model folder, or a repository of the Hugging Face Hub: ``"USER/NAME"`` or
            ``"USER/NAME@REVISION"``. By default the model that is shipped with the package.
        precision : {"exact", "fast"}
            As in the constructor.
        revision : str, optional
            Branch, tag or commit of the repository.
        cache_dir : str or Path, optional
            Where repositories are kept; by default where ``huggingface_hub`` keeps them.
        local_files_only : bool
            Whether to take only what is there already.

        Returns
        -------
        StructureTokenizer
            On the CPU.

        Raises
        ------
        CheckpointError
            If there is no such folder or repository, or it is incomplete or damaged.
        ConfigError
            If there is no such precision, or a revision of a folder is asked for.
        MissingExtraError
            If a repository is meant and ``huggingface_hub`` is not installed.
        """
        check_precision(precision)
        folder = model_folder(
            model, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        loaded = StructureAutoencoder.load(folder)
        tokenizer = cls(loaded, name=model_name(model, revision), precision=precision)
        tokenizer.origin = read_origin(folder)
        return tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """Identity of encoder and codebook: equal fingerprints give tokens equal meaning."""
        return self.model.fingerprint()

    @property
    def codebook_size(self) -> int:
        """Number of codes: ids lie in ``[0, codebook_size)``."""
        return int(self.model.codebook_size)

    @cached_property
    def exact_because(self) -> str | None:
        """
        Why ids are computed exactly although fast precision was asked for; else None.

        Found out when it is first asked for, or the first chain encoded: move the model to its
        device before.
        """
        return obstacle(self.model) if self.precision == "fast" else None

    @property
    def fast_report(self) -> FastReport | None:
        """What fast precision did for the chains encoded so far; None if it is not used."""
        return None if self._fast is None else self._fast.total

    @property
    def last_fast_report(self) -> FastReport | None:
        """What fast precision did for the last chain; None if it is not used."""
        return None if self._fast is None else self._fast.last

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
        policy: ResiduePolicy = CONTRACT,
    ) -> list[TokenSequence]:
        """
        Return the tokens of every chain.

        Parameters
        ----------
        inputs : iterable of str, Path or Backbone
            Structure files, of which every polypeptide chain is encoded, or chains.
        chains : sequence of str, optional
            Chain ids to encode; by default all, or those of the policy.
        on_problem : callable, optional
            Called with an `InputProblem` for each file or chain that cannot be encoded, while
            the others are. Without it, the first problem is raised.
        policy : ResiduePolicy
            What is taken of each file; by default what the residue contract says.

        Returns
        -------
        list of TokenSequence
            In the order of the inputs, and of the chains in each file.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy.
        """
        return list(self.iter_encode(inputs, chains=chains, on_problem=on_problem, policy=policy))

    def iter_encode(
        self,
        inputs: Iterable[StructureInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
        policy: ResiduePolicy = CONTRACT,
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
        policy : ResiduePolicy
            As in `encode`.

        Returns
        -------
        iterator of TokenSequence
            In the order of the inputs, and of the chains in each file.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy.
        """
        return per_chain(self._tokens, inputs, chains=chains, on_problem=on_problem, policy=policy)

    def embed(
        self,
        inputs: Iterable[StructureInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
        policy: ResiduePolicy = CONTRACT,
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
        policy : ResiduePolicy
            As in `encode`.

        Returns
        -------
        list of ndarray, shape=(residue, dim), dtype=float32
            One per chain, in the order of `encode`; *NaN* at unresolved residues.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy.
        """
        found = per_chain(
            self._latents, inputs, chains=chains, on_problem=on_problem, policy=policy
        )
        return list(found)

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
            encode = self.model.encode if self._fast is None else self._fast.encode
            ids = encode(*self._tensors(chain))[0].cpu().numpy()
        return self._sequence(chain, ids)

    def _sequence(
        self, chain: Backbone, ids: NDArray[np.int64], *, context: str = "chain"
    ) -> TokenSequence:
        made_by = {"fingerprint": self.fingerprint, "codebook_size": self.codebook_size}
        return tokens_of(chain, ids, context=context, **made_by)

    @cached_property
    def _fast(self) -> FastIds | None:
        if self.precision != "fast" or self.exact_because is not None:
            return None
        return FastIds(self.model)

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
        coords = self._batch_of_one(centered(chain))
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
