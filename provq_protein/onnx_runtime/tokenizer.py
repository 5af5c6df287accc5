"""How do structures become tokens without torch?"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provq_protein.hub.folders import model_folder, model_name
from provq_protein.onnx_runtime.choosing import CodesAlongChain, Steps, nearest_codes
from provq_protein.onnx_runtime.model_folder import EncoderFolder, load_encoder
from provq_protein.onnx_runtime.networks import encoder_network
from provq_protein.onnx_runtime.sessions import Network, default_threads
from provq_protein.onnx_runtime.step_table import steps_of
from provq_protein.onnx_runtime.surroundings import (
    Frames,
    along_chain,
    frames_of,
    surroundings,
)
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.tokens.inputs import OnProblem, StructureInput, per_chain
from provq_protein.tokens.of_chain import centered, tokens_of
from provq_protein.tokens.sequence import TokenSequence

# Residues whose surroundings are in the network at once: bounds memory, and stays in caches.
_RESIDUES_PER_PASS = 256


class OnnxStructureTokenizer:
    """
    Translate protein chains into the tokens of a trained model, without torch.

    Parameters
    ----------
    folder : EncoderFolder
        Encoder and codebook.
    name : str, optional
        What to call the model in messages.
    threads : int, optional
        To compute with; by default `OMP_NUM_THREADS`, or all processors.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime is not installed.

    Notes
    -----
    The ids of ``StructureTokenizer`` for the same model folder, in sequences that carry the same
    fingerprint, as far as rounding allows: networks are computed in float32 there and here, with
    other orders of summation, so that a residue which lies between two codes to the last digits
    can get the other one, and ids after it in its chain with it.

    The networks are made from the weights of the model folder whenever one is opened. There is
    no exported file that could belong to another version of the weights.
    """

    def __init__(
        self, folder: EncoderFolder, *, name: str = "model", threads: int | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        threads = default_threads() if threads is None else threads
        settings, tensors = folder.settings, folder.tensors
        self._network = Network(encoder_network(settings, tensors), threads=threads)
        self._along_chain = _codes_along_chain(folder)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> "OnnxStructureTokenizer":
        """
        Load a trained tokenizer.

        Parameters
        ----------
        model : str or Path, optional
            A model folder, or a repository of the Hugging Face Hub: ``"USER/NAME"`` or
            ``"USER/NAME@REVISION"``. By default the model that is shipped with the package.
        threads : int, optional
            To compute with; by default `OMP_NUM_THREADS`, or all processors.
        revision : str, optional
            Branch, tag or commit of the repository.
        cache_dir : str or Path, optional
            Where repositories are kept; by default where ``huggingface_hub`` keeps them.
        local_files_only : bool
            Whether to take only what is there already.

        Returns
        -------
        OnnxStructureTokenizer
            On the CPU.

        Raises
        ------
        CheckpointError
            If there is no such folder or repository, it is incomplete or damaged, or its model
            is of a kind that only torch can run.
        ConfigError
            If a revision of a folder is asked for.
        MissingExtraError
            If ONNX Runtime is not installed, or a repository is meant and ``huggingface_hub`` is
            not.
        """
        folder = model_folder(
            model, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        return cls(load_encoder(folder), name=model_name(model, revision), threads=threads)

    @property
    def fingerprint(self) -> str:
        """Identity of encoder and codebook: equal fingerprints give tokens equal meaning."""
        return self._folder.fingerprint

    @property
    def codebook_size(self) -> int:
        """Number of codes: ids lie in ``[0, codebook_size)``."""
        return self._folder.settings.codebook_size

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
            self._embedded, inputs, chains=chains, on_problem=on_problem, policy=policy
        )
        return list(found)

    def _tokens(self, chain: Backbone) -> TokenSequence:
        frames = frames_of(centered(chain), chain.resolved)
        latents = self._latents(frames, chain.author_numbers)
        if self._along_chain is None:
            ids = nearest_codes(latents, self._folder.codes)
        else:
            ids = self._along_chain.choose(latents, frames)
        return tokens_of(chain, ids, fingerprint=self.fingerprint, codebook_size=self.codebook_size)

    def _embedded(self, chain: Backbone) -> NDArray[np.float32]:
        frames = frames_of(centered(chain), chain.resolved)
        latents = self._latents(frames, chain.author_numbers)
        return np.where(chain.resolved[:, None], latents, np.float32(np.nan))

    def _latents(self, frames: Frames, numbers: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return one latent per residue, zero where it is unresolved."""
        settings = self._folder.settings
        features, index = surroundings(frames, settings.neighbors)
        wide = numbers.astype(np.int64)
        separation = wide[index] - wide[frames.resolved][:, None]
        bound = settings.max_offset
        inputs = {
            "surroundings": features,
            "offsets": np.clip(separation, -bound, bound) + bound,
        }
        if settings.follows_chain:
            inputs["along_chain"] = along_chain(frames, settings.chain_reach)
        parts = [
            self._network(
                {name: all_[start : start + _RESIDUES_PER_PASS] for name, all_ in inputs.items()}
            )
            for start in range(0, len(features), _RESIDUES_PER_PASS)
        ]
        latents = np.zeros((len(frames.resolved), settings.latent_dim), dtype=np.float32)
        latents[frames.resolved] = np.concatenate(parts)
        return latents


def _codes_along_chain(folder: EncoderFolder) -> CodesAlongChain | None:
    settings, tensors = folder.settings, folder.tensors
    if not settings.follows_chain:
        return None
    steps = steps_of(folder.codes, tensors)
    across = None
    if settings.break_codes and bool(tensors["breaks.fitted"]):
        across = Steps(
            tensors["breaks.rotations"].astype(np.float64),
            tensors["breaks.translations"].astype(np.float64),
        )
    return CodesAlongChain(folder.codes, steps, across, drift_weight=settings.drift_weight)
