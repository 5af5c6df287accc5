"""How are the tokens of many chains computed once, and found again?"""

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provq_protein.errors import MissingExtraError, ProvqError, TokenFormatError
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens, Problem
from structtokenbench.tokenizers.protocol import (
    BenchmarkTokenizer,
    DerivedTokenizer,
    chain_content_hash,
    check_tokens,
)

FORMAT_VERSION = 1


class CachedTokens(Mapping[str, ChainTokens]):
    """
    Tokens of a set of chains, read from disk whenever one is asked for.

    Parameters
    ----------
    files : mapping of str to Path
        File of each chain that has tokens, by the key of the chain.
    problems : tuple of Problem
        The chains that have none, and why, in the order of the set.

    Notes
    -----
    Nothing is kept in memory: a set of any size takes the memory of the chain that is looked at.
    """

    def __init__(self, files: Mapping[str, Path], problems: tuple[Problem, ...]) -> None:
        self._files = dict(files)
        self.problems = problems

    def __getitem__(self, key: str) -> ChainTokens:
        """Return the tokens of one chain; KeyError if it has none, see `problems`."""
        tokens = _read(self._files[key])
        if isinstance(tokens, str):
            raise _damaged(self._files[key], f"has no tokens but a reason: {tokens}")
        return tokens

    def __iter__(self) -> Iterator[str]:
        """Iterate over the chains that have tokens, in the order of the set."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return the number of chains that have tokens."""
        return len(self._files)

    def __contains__(self, key: object) -> bool:
        """Return True if the chain has tokens, without reading them."""
        return key in self._files


class TokenCache:
    """
    A folder of tokens, one file for each chain and tokenizer.

    Parameters
    ----------
    folder : Path
        Made if it is absent.

    Notes
    -----
    A file is found again by the fingerprint of the tokenizer and the content of the chain, so
    that a chain that several tasks share is tokenized once, and a changed tokenizer or structure
    never meets old tokens. Each file is written whole or not at all: a run that was stopped goes
    on where it was. Why a chain has no tokens is kept as well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tokens(
        self,
        tokenizer: BenchmarkTokenizer,
        chains: Mapping[str, Backbone],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> CachedTokens:
        """
        Return the tokens of all chains, computing those that are not there yet.

        Parameters
        ----------
        tokenizer : BenchmarkTokenizer
            What tokenizes.
        chains : mapping of str to Backbone
            Any number; one is looked at after the other.
        progress : callable, optional
            Called with the number of chains done and of all chains, after each chain.

        Returns
        -------
        CachedTokens
            With a `Problem` for every chain that the tokenizer refused, or for which it
            returned something that does not fit the chain.

        Raises
        ------
        TokenFormatError
            If a file of the folder is damaged; the message names it.
        MissingExtraError
            If the tokenizer's package is not installed.
        """
        files: dict[str, Path] = {}
        problems: list[Problem] = []
        for done, (key, chain) in enumerate(chains.items(), start=1):
            found = self._find(tokenizer, chain)
            if isinstance(found, str):
                problems.append(Problem(id=key, reason=found))
            else:
                files[key] = self._path(tokenizer, chain)
            if progress is not None:
                progress(done, len(chains))
        return CachedTokens(files, tuple(problems))

    def _path(self, tokenizer: BenchmarkTokenizer, chain: Backbone) -> Path:
        name = chain_content_hash(chain)
        # Folders of 256 keep directories short.
        return self.folder / tokenizer.fingerprint / name[:2] / f"{name}.npz"

    def _find(self, tokenizer: BenchmarkTokenizer, chain: Backbone) -> ChainTokens | str:
        """Tokens from disk or, if they are not there, from the tokenizer; or why there are none."""
        path = self._path(tokenizer, chain)
        if not path.exists():
            return self._compute(tokenizer, chain, path)
        found = _read(path)
        if not isinstance(found, str):
            try:
                check_tokens(chain, found, _codes(tokenizer))
            except TokenFormatError as error:
                raise _damaged(path, str(error)) from error
        return found

    def _compute(
        self, tokenizer: BenchmarkTokenizer, chain: Backbone, path: Path
    ) -> ChainTokens | str:
        base: ChainTokens | str | None = None
        if isinstance(tokenizer, DerivedTokenizer):
            # Controls of a slow tokenizer cost nothing: its own tokens are in the folder.
            base = self._find(tokenizer.base, chain)
            if isinstance(base, str):
                return base
        try:
            if isinstance(tokenizer, DerivedTokenizer) and isinstance(base, ChainTokens):
                tokens = tokenizer.derive(chain, base)
            else:
                tokens = tokenizer.tokenize(chain)
            check_tokens(chain, tokens, _codes(tokenizer))
        except MissingExtraError:
            # It is the installation that is at fault: no chain would fare better.
            raise
        except (ProvqError, ValueError) as error:
            reason = str(error) or type(error).__name__
            _write(path, {"problem": np.array(reason)})
            return reason
        _write(path, _arrays(tokens))
        return tokens


def _codes(tokenizer: BenchmarkTokenizer) -> int | None:
    return None if tokenizer.codebook is None else len(tokenizer.codebook)


def _arrays(tokens: ChainTokens) -> dict[str, npt.NDArray[np.generic]]:
    arrays: dict[str, npt.NDArray[np.generic]] = {"mask": tokens.mask}
    if tokens.ids is not None:
        # int32 holds any codebook and halves the folder.
        arrays["ids"] = tokens.ids.astype(np.int32)
    if tokens.features is not None:
        arrays["features"] = tokens.features
    return arrays


def _write(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer, so that two processes may share the folder.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, allow_pickle=False, format_version=np.array(FORMAT_VERSION), **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> ChainTokens | str:
    """Return tokens, or the reason why there are none."""
    try:
        # Opened here, so that it is closed as well where numpy refuses it.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    version = arrays.get("format_version")
    if version is None or version.shape != () or int(version) != FORMAT_VERSION:
        raise _damaged(path, f"format_version is {version}, expected {FORMAT_VERSION}")
    if "problem" in arrays:
        return str(arrays["problem"])
    if "mask" not in arrays or not ("ids" in arrays or "features" in arrays):
        raise _damaged(path, f"holds {sorted(arrays)}, expected mask and ids or features")
    ids = arrays.get("ids")
    return ChainTokens(
        ids=None if ids is None else ids.astype(np.int64),
        features=arrays.get("features"),
        mask=arrays["mask"],
    )


def _damaged(path: Path, problem: str) -> TokenFormatError:
    msg = f"{path}: cached tokens: {problem}; delete this file and run again to compute it anew"
    return TokenFormatError(msg)
