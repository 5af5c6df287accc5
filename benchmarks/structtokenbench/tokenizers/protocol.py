"""What must a tokenizer offer so that the benchmark can run on it, and did it keep to that?"""

import hashlib
from typing import NoReturn, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from provq_protein.errors import TokenFormatError
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens


@runtime_checkable
class BenchmarkTokenizer(Protocol):
    """
    Anything that gives each residue of a chain an id, or a vector.

    Attributes
    ----------
    name : str
        How reports call it.
    fingerprint : str
        Changes with anything that changes the output: weights, versions, settings. Tokens are
        cached under it.
    codebook : ndarray, shape=(code, dim), dtype=float32, or None
        The vector that stands for each id; None for a tokenizer that gives vectors itself.
    """

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with anything that changes the output."""
        ...

    @property
    def codebook(self) -> npt.NDArray[np.float32] | None:
        """The vector that stands for each id; None for a tokenizer that gives vectors itself."""
        ...

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
            One entry per residue of the chain.

        Raises
        ------
        ProvqError or ValueError
            If the chain cannot be used; the message says why.
        """
        ...


@runtime_checkable
class DerivedTokenizer(BenchmarkTokenizer, Protocol):
    """
    A tokenizer that only changes the tokens of another, which need not be computed again.

    Attributes
    ----------
    base : BenchmarkTokenizer
        The other one.
    """

    @property
    def base(self) -> BenchmarkTokenizer:
        """The tokenizer whose tokens are changed."""
        ...

    def derive(self, chain: Backbone, tokens: ChainTokens) -> ChainTokens:
        """
        Return what `tokenize` would, from tokens of `base`.

        Parameters
        ----------
        chain : Backbone
            A chain.
        tokens : ChainTokens
            What `base` gives this chain.

        Returns
        -------
        ChainTokens
            One entry per residue of the chain.
        """
        ...


def fingerprint_of(*parts: str | bytes | npt.NDArray[np.generic]) -> str:
    """
    Return a short identity of everything given.

    Parameters
    ----------
    *parts : str, bytes or ndarray
        Names, versions, settings, tables.

    Returns
    -------
    str
        16 hex digits.

    Examples
    --------
    >>> fingerprint_of("3di", "1") != fingerprint_of("3di1", "")
    True
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            header = f"{part.dtype.str}{part.shape}".encode()
            content = header + np.ascontiguousarray(part).tobytes()
        else:
            content = part.encode() if isinstance(part, str) else part
        # Lengths, so that neighbouring parts cannot trade characters unnoticed.
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def chain_content_hash(chain: Backbone) -> str:
    """
    Return the identity of what a tokenizer can see of a chain.

    Parameters
    ----------
    chain : Backbone
        A chain.

    Returns
    -------
    str
        32 hex digits that depend on coordinates, sequence and numbering, and not on names.
    """
    # A missing coordinate is the same whatever bits its NaN has.
    coords = np.where(np.isnan(chain.coords), np.float32(np.nan), chain.coords)
    text = f"{chain.sequence}|{','.join(chain.residue_ids)}"
    digest = hashlib.sha256(text.encode())
    digest.update(np.ascontiguousarray(coords, dtype="<f4").tobytes())
    return digest.hexdigest()[:32]


def tokens_from_ids(
    chain: Backbone, ids: npt.ArrayLike, mask: npt.NDArray[np.bool_], *, name: str
) -> ChainTokens:
    """
    Return the tokens of a chain with ids, or refuse a chain without a single one.

    Parameters
    ----------
    chain : Backbone
        The chain.
    ids : array_like of int, shape=(residue,)
        What stands where `mask` is False does not matter.
    mask : ndarray, shape=(residue,), dtype=bool
        True where the residue has a token.
    name : str
        The tokenizer, for the message.

    Returns
    -------
    ChainTokens
        With 0 where there is no token.

    Raises
    ------
    TokenFormatError
        If no residue has a token.
    """
    _require_any(chain, mask, name)
    whole = np.where(mask, np.asarray(ids), 0).astype(np.int64)
    return ChainTokens(ids=whole, features=None, mask=np.array(mask, dtype=bool))


def tokens_from_features(
    chain: Backbone,
    features: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    *,
    name: str,
) -> ChainTokens:
    """
    Return the tokens of a chain with vectors, or refuse a chain without a single one.

    Parameters
    ----------
    chain : Backbone
        The chain.
    features : ndarray, shape=(residue, dim)
        What stands where `mask` is False does not matter.
    mask : ndarray, shape=(residue,), dtype=bool
        True where the residue has a vector.
    name : str
        The tokenizer, for the message.

    Returns
    -------
    ChainTokens
        With zeros where there is no vector.

    Raises
    ------
    TokenFormatError
        If no residue has a vector.
    """
    _require_any(chain, mask, name)
    vectors = np.where(mask[:, None], features, 0).astype(np.float32)
    return ChainTokens(ids=None, features=vectors, mask=np.array(mask, dtype=bool))


def check_tokens(chain: Backbone, tokens: ChainTokens, codes: int | None) -> None:
    """
    Refuse tokens that do not fit their chain or their codebook.

    Parameters
    ----------
    chain : Backbone
        What was tokenized.
    tokens : ChainTokens
        What came back.
    codes : int or None
        Number of codes; None for a tokenizer that gives vectors.

    Raises
    ------
    TokenFormatError
        If shapes, dtypes or ids are wrong.
    """
    count = len(chain)
    _expect(chain, "mask", tokens.mask, (count,), np.bool_)
    if codes is None:
        if tokens.features is None or tokens.features.ndim != 2:
            _refuse(chain, "a tokenizer without codebook must return features (residue, dim)")
        features = tokens.features
        _expect(chain, "features", features, (count, features.shape[1]), np.float32)
        if not np.isfinite(features[tokens.mask]).all():
            _refuse(chain, "features are not finite where the mask is True")
        return
    if tokens.ids is None:
        _refuse(chain, "a tokenizer with a codebook must return ids (residue,)")
    _expect(chain, "ids", tokens.ids, (count,), np.int64)
    chosen = tokens.ids[tokens.mask]
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < codes:
        _refuse(chain, f"ids must be in [0, {codes}), got {chosen.min()} to {chosen.max()}")


def _require_any(chain: Backbone, mask: npt.NDArray[np.bool_], name: str) -> None:
    if not mask.any():
        resolved = int(chain.resolved.sum())
        _refuse(
            chain, f"{name} gives none of its {len(chain)} residues ({resolved} resolved) a token"
        )


def _expect(
    chain: Backbone,
    name: str,
    values: npt.NDArray[np.generic],
    shape: tuple[int, ...],
    dtype: type[np.generic],
) -> None:
    if values.shape != shape or values.dtype != dtype:
        _refuse(
            chain,
            f"{name}: expected {np.dtype(dtype).name} of shape {shape} (the chain has "
            f"{shape[0]} residues), got {values.dtype.name} of shape {values.shape}",
        )


def _refuse(chain: Backbone, problem: str) -> NoReturn:
    where = f"{chain.source}: " if chain.source else ""
    msg = f"{where}chain {chain.chain_id}: {problem}"
    raise TokenFormatError(msg)
