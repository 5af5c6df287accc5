"""How do chains reach a language model in PyTorch, as a stream and in padded batches?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import IterableDataset, get_worker_info

from provq_protein.errors import TokenFormatError
from provq_protein.export.folders import HEADER
from provq_protein.export.token_array import TokenArray
from provq_protein.export.token_files import OnProblem, iterate_token_file, token_files
from provq_protein.tokens.sequence import UNRESOLVED_ID
from provq_protein.vocabulary.chain_ids import NO_RESIDUE
from provq_protein.vocabulary.model_inputs import SEQUENCE_PAD, ModelInputs
from provq_protein.vocabulary.vocabulary import Vocabulary

# What loss functions of PyTorch ignore.
_NO_LABEL = -100


class PaddingCollator:
    """
    Put rows of different lengths into one batch.

    Parameters
    ----------
    vocabulary : Vocabulary
        Its pad token fills ``input_ids``.

    Notes
    -----
    Nothing is cut off. ``attention_mask`` says what is padding; the ids do not, since unresolved
    residues may have been given the pad token.

    Examples
    --------
    >>> vocabulary = Vocabulary.named("esm3", codebook_size=512)
    >>> batch = PaddingCollator(vocabulary)(
    ...     [{"input_ids": [514, 7, 513]}, {"input_ids": [514, 513]}]
    ... )
    >>> batch["input_ids"].tolist()
    [[514, 7, 513], [514, 513, 515]]
    >>> batch["attention_mask"].tolist()
    [[1, 1, 1], [1, 1, 0]]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._fills = {
            "input_ids": vocabulary.special["pad"],
            "sequence_ids": SEQUENCE_PAD,
            "labels": _NO_LABEL,
            "positions": NO_RESIDUE,
            "resolved": False,
        }

    def __call__(self, rows: Sequence[Mapping[str, ArrayLike]]) -> dict[str, torch.Tensor]:
        """
        Pad rows to the longest one.

        Parameters
        ----------
        rows : sequence of mapping
            One at least, with the same columns: ``input_ids``, and any of ``sequence_ids``,
            ``labels``, ``positions`` and ``resolved``, all of one length in a row.

        Returns
        -------
        dict from str to Tensor, shape=(row, id)
            The columns, and ``attention_mask`` (int64), which is 0 where a row is padded.

        Raises
        ------
        TokenFormatError
            If there is no row, a column is unknown or absent, or lengths differ within a row.
        """
        if not rows:
            msg = "expected at least one row, got none"
            raise TokenFormatError(msg)
        arrays = [{name: np.asarray(values) for name, values in row.items()} for row in rows]
        names = list(arrays[0])
        self._check_columns(names)
        lengths = [len(row.get("input_ids", ())) for row in arrays]
        for number, row in enumerate(arrays):
            found = {name: len(values) for name, values in row.items()}
            if found != dict.fromkeys(names, lengths[number]):
                msg = f"row {number}: expected {', '.join(names)} of one length, got {found}"
                raise TokenFormatError(msg)
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        batch = {"attention_mask": torch.from_numpy(mask.astype(np.int64))}
        for name in names:
            padded = np.full(mask.shape, self._fills[name])
            for number, row in enumerate(arrays):
                # The type of an empty list says nothing; other fractions are not cut off.
                if lengths[number]:
                    np.copyto(padded[number, : lengths[number]], row[name], casting="same_kind")
            batch[name] = torch.from_numpy(padded)
        return batch

    def _check_columns(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self._fills]
        if unknown or "input_ids" not in names:
            msg = (
                f"rows have the columns {', '.join(names)}; expected input_ids, and no others than "
                f"{', '.join(self._fills)} (remove_columns=... of the dataset leaves some out)"
            )
            raise TokenFormatError(msg)


class TokenStream(IterableDataset[dict[str, NDArray[Any]]]):
    """
    Stream chains from token files and exports, one after the other.

    Parameters
    ----------
    inputs : iterable of str or Path
        Token files of any format, folders of Parquet token files as a run writes them, and
        folders of ``provq-protein export --to memmap`` or ``--to datasets``.
    to_inputs : ModelInputs
        What to make of each chain.
    on_problem : callable, optional
        Called with the error of each token file that cannot be read (on), while the others are.
        Without it, the error is raised.

    Raises
    ------
    TokenFormatError
        If a folder holds no tokens, or, while chains are read, if one does not fit the
        vocabulary or comes from another model than the first.
    TypeError
        If one path is given where a list is due.

    Notes
    -----
    Chains come in the order in which they are stored: shuffle where the files are written, or
    draw from a `provq_protein.export.token_array.TokenArray` in random order. Worker processes of
    a ``DataLoader`` share the files, and the rows of memmap exports, so that each chain comes
    once; more workers than token files have nothing to do. Other processes, as in distributed
    training, each need inputs of their own.
    """

    def __init__(
        self,
        inputs: Iterable[str | Path],
        to_inputs: ModelInputs,
        *,
        on_problem: OnProblem | None = None,
    ) -> None:
        if isinstance(inputs, str | Path):
            msg = f"inputs must be a list, got one {type(inputs).__name__}; write [inputs]"
            raise TypeError(msg)
        self._to_inputs, self._on_problem = to_inputs, on_problem
        self._arrays: list[TokenArray] = []
        self._files: list[Path] = []
        for path in map(Path, inputs):
            if (path / "tokens.npy").is_file():
                self._arrays.append(TokenArray(path))
            elif (path / HEADER).is_file():
                self._files += token_files([path / "data"])
            else:
                self._files += token_files([path])
        self._fingerprint = self._first_fingerprint()

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield what `to_inputs` makes of each chain."""
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for array in self._arrays:
            self._check_model(array.fingerprint, str(array.folder))
            for number in range(first, len(array), step):
                row = array[number]
                codes = np.where(row.resolved, row.tokens.astype(np.int64), UNRESOLVED_ID)
                size = array.codebook_size
                yield self._to_inputs({"id": row.name, "tokens": codes, "codebook_size": size})
        for file in self._files[first::step]:
            yield from self._of_file(file)

    def _of_file(self, file: Path) -> Iterator[dict[str, NDArray[Any]]]:
        chains = iterate_token_file(file)
        while True:
            try:
                chain = next(chains, None)
            except TokenFormatError as error:
                if self._on_problem is None:
                    raise
                self._on_problem(error)
                return
            if chain is None:
                return
            self._check_model(chain.fingerprint, f"{file}: chain {chain.chain_id}")
            yield self._to_inputs.of(chain)

    def _first_fingerprint(self) -> str | None:
        """The model that all chains must come from; None if there is no chain."""
        for array in self._arrays:
            return array.fingerprint
        for file in self._files:
            try:
                chain = next(iterate_token_file(file), None)
            except TokenFormatError:
                # Told when its turn comes.
                continue
            if chain is not None:
                return chain.fingerprint
        return None

    def _check_model(self, fingerprint: str, where: str) -> None:
        if fingerprint != self._fingerprint:
            msg = (
                f"{where}: encoded by the model with fingerprint {fingerprint}, but the first "
                f"chain by {self._fingerprint}: equal ids would mean different things; stream "
                "them apart"
            )
            raise TokenFormatError(msg)
