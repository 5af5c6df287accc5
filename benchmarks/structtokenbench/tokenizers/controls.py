"""What would the probe score if the tokens said less than they seem to?"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ConfigError
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.protocol import (
    BenchmarkTokenizer,
    chain_content_hash,
    fingerprint_of,
    tokens_from_ids,
)

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWYX"

_REVISION = "1"
# The probe adds its learned positions to the codes, so their length is that of a usual code.
_POSITION_DIM = 128

_Value = TypeVar("_Value", bound=np.generic)


class Shuffled:
    """
    The tokens of another tokenizer, permuted within each chain.

    Parameters
    ----------
    base : BenchmarkTokenizer
        Whose tokens.
    seed : int
        Together with the chain's content it decides the permutation.

    Notes
    -----
    The composition of a chain remains, and which residues have a token; what a token says of
    its own residue is lost. A task per residue should fall to chance, up to what composition
    and length say.
    """

    def __init__(self, base: BenchmarkTokenizer, *, seed: int = 0) -> None:
        self.name = f"shuffled:{base.name}"
        self.base = base
        self._seed = seed
        self.fingerprint = fingerprint_of("shuffled", _REVISION, base.fingerprint, str(seed))

    @property
    def codebook(self) -> npt.NDArray[np.float32] | None:
        """That of the other tokenizer."""
        return self.base.codebook

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the permuted tokens of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            With the mask of the other tokenizer.

        Raises
        ------
        ProvqError or ValueError
            As the other tokenizer.
        """
        return self.derive(chain, self.base.tokenize(chain))

    def derive(self, chain: Backbone, tokens: ChainTokens) -> ChainTokens:
        """
        Permute tokens that the other tokenizer gave.

        Parameters
        ----------
        chain : Backbone
            A chain.
        tokens : ChainTokens
            What `base` gives this chain.

        Returns
        -------
        ChainTokens
            With the same mask.
        """
        seed = [self._seed, int(chain_content_hash(chain)[:16], 16)]
        places = np.flatnonzero(tokens.mask)
        shuffled = np.random.default_rng(seed).permutation(places)
        return ChainTokens(
            ids=_moved(tokens.ids, places, shuffled),
            features=_moved(tokens.features, places, shuffled),
            mask=tokens.mask,
        )


class RandomCodebook:
    """
    The ids of another tokenizer, with codes drawn from a normal distribution.

    Parameters
    ----------
    base : BenchmarkTokenizer
        Whose ids.
    seed : int
        Decides the codes.

    Raises
    ------
    ConfigError
        If the other tokenizer has no codebook.

    Notes
    -----
    What remains is which residues share a token; which tokens are alike is lost.
    """

    def __init__(self, base: BenchmarkTokenizer, *, seed: int = 0) -> None:
        if base.codebook is None:
            msg = f"random_codebook: {base.name} has no codebook that could be replaced"
            raise ConfigError(msg)
        self.name = f"random_codebook:{base.name}"
        self.base = base
        generator = np.random.default_rng(seed)
        self._codebook = generator.standard_normal(base.codebook.shape).astype(np.float32)
        self.fingerprint = fingerprint_of(
            "random_codebook", _REVISION, base.fingerprint, self._codebook
        )

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """Independent normal values, of the shape of the other codebook; dtype=float32."""
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
            Those of the other tokenizer.

        Raises
        ------
        ProvqError or ValueError
            As the other tokenizer.
        """
        return self.base.tokenize(chain)

    def derive(self, chain: Backbone, tokens: ChainTokens) -> ChainTokens:
        """
        Pass on tokens that the other tokenizer gave.

        Parameters
        ----------
        chain : Backbone
            A chain.
        tokens : ChainTokens
            What `base` gives this chain.

        Returns
        -------
        ChainTokens
            The same.
        """
        del chain
        return tokens


class PositionOnly:
    """
    One id for all residues: the probe sees positions in the chain and nothing else.

    Notes
    -----
    The only code is zero, so that the probe's position embedding enters its LayerNorm alone.
    """

    name = "position"
    fingerprint = fingerprint_of("position", _REVISION, str(_POSITION_DIM))

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """One code of zeros, shape=(1, 128), dtype=float32."""
        return np.zeros((1, _POSITION_DIM), dtype=np.float32)

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return id 0 for each resolved residue.

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
        ids = np.zeros(len(chain), dtype=np.int64)
        return tokens_from_ids(chain, ids, chain.resolved, name=self.name)


class AminoAcidOnly:
    """
    The amino acid as the token: what sequence alone says, one residue at a time.

    Notes
    -----
    Only resolved residues have a token, so that tokenizers of structure are compared on the
    same residues.
    """

    name = "amino_acid"
    fingerprint = fingerprint_of("amino_acid", _REVISION, AMINO_ACIDS)

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """One-hot, in the order of `AMINO_ACIDS`; shape=(21, 21), dtype=float32."""
        return np.eye(len(AMINO_ACIDS), dtype=np.float32)

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the amino acids of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            A token at each resolved residue; letters beyond the twenty count as X.

        Raises
        ------
        TokenFormatError
            If no residue is resolved.
        """
        unknown = AMINO_ACIDS.index("X")
        ids = np.array(
            [AMINO_ACIDS.index(letter) if letter in AMINO_ACIDS else unknown
             for letter in chain.sequence],
            dtype=np.int64,
        )  # fmt: skip
        return tokens_from_ids(chain, ids, chain.resolved, name=self.name)


def _moved(
    values: npt.NDArray[_Value] | None,
    places: npt.NDArray[np.int64],
    sources: npt.NDArray[np.int64],
) -> npt.NDArray[_Value] | None:
    if values is None:
        return None
    moved = values.copy()
    moved[places] = values[sources]
    return moved
