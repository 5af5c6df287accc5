"""Which letters do the structural alphabets of others give a chain?"""

import importlib.metadata

import biotite.structure as struc
import numpy as np
import numpy.typing as npt
from biotite.structure.alphabet import to_protein_blocks

from provq_protein.extras import require_extra
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.protocol import fingerprint_of, tokens_from_ids

STATES_3DI = 20
PROTEIN_BLOCKS = 16

# The state that Foldseek writes where it has no descriptors: the letter D.
_INVALID_3DI = 2
# A peptide bond has 1.33 Angstrom; beyond this, residues are no neighbours in the chain.
_LONGEST_BOND = 2.5
_REVISION = "1"


class FoldseekAlphabet:
    """
    Foldseek's 3Di letters, computed by mini3di.

    Parameters
    ----------
    published : bool
        As the published benchmark reads them: each letter is its 2-dimensional centroid, and
        where there are no descriptors stands the letter D.

    Raises
    ------
    MissingExtraError
        If mini3di is not installed.

    Notes
    -----
    A residue has descriptors if it, its nearest neighbour in space, and the two residues beside
    each are resolved; the first and last residue have none. By default such residues have no
    token. The side chain is not used: CB is where the backbone puts it, so that letters can
    differ from those that Foldseek gives a file with CB atoms.

    Two dimensions do not survive the probe's LayerNorm, which leaves of each pair only the sign
    of its difference. The near-chance numbers published for 3Di are an artefact of that; by
    default each letter is one-hot.

    References
    ----------
    van Kempen M., et al. Fast and accurate protein structure search with Foldseek. Nature
    Biotechnology 42, 243-246 (2024).
    """

    def __init__(self, *, published: bool = False) -> None:
        mini3di = require_extra("mini3di", extra="bench", purpose="the tokenizer '3di'")
        self.name = "3di:published" if published else "3di"
        self._published = published
        self._encoder = mini3di.Encoder()
        centroids = np.array(self._encoder.vae_encoder.layers[-1].centroids, dtype=np.float32)
        self._codebook = centroids if published else np.eye(STATES_3DI, dtype=np.float32)
        version = importlib.metadata.version("mini3di")
        self.fingerprint = fingerprint_of(self.name, _REVISION, version, self._codebook)

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """One row per letter: shape=(20, 20), or (20, 2) as published; dtype=float32."""
        return self._codebook

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the letters of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            Ids in the order ``ACDEFGHIKLMNPQRSTVWY``.

        Raises
        ------
        TokenFormatError
            If no residue has a letter.
        """
        ids = np.zeros(len(chain), dtype=np.int64)
        defined = np.zeros(len(chain), dtype=bool)
        # Descriptors need a residue with two neighbours and a partner with two.
        if len(chain) > 3:
            coords = np.where(chain.resolved[:, None, None], chain.coords, np.nan)
            nitrogen, alpha, carbon = coords.astype(np.float64).swapaxes(0, 1)
            no_beta = np.full_like(alpha, np.nan)
            # Unresolved residues are NaN, which mini3di masks after it has computed with them.
            with np.errstate(invalid="ignore", divide="ignore"):
                states = self._encoder.encode_atoms(alpha, no_beta, nitrogen, carbon)
            ids, defined = np.asarray(states.data), ~np.ma.getmaskarray(states)
        if self._published:
            ids = np.where(defined, ids, _INVALID_3DI)
            defined = chain.resolved
        return tokens_from_ids(chain, ids, defined, name=self.name)


class ProteinBlocksAlphabet:
    """
    The sixteen protein blocks, computed by biotite.

    Notes
    -----
    A block describes five residues by their eight inner dihedral angles. The first two and last
    two residues of a chain have none, nor has a residue within two of an unresolved one or of a
    chain break (a peptide bond beyond 2.5 Angstrom); they have no token.

    References
    ----------
    de Brevern A.G., Etchebest C., Hazout S. Bayesian probabilistic approach for predicting
    backbone structures in terms of protein blocks. Proteins 41, 271-287 (2000).
    """

    name = "protein_blocks"

    def __init__(self) -> None:
        self._codebook = np.eye(PROTEIN_BLOCKS, dtype=np.float32)
        version = importlib.metadata.version("biotite")
        self.fingerprint = fingerprint_of(self.name, _REVISION, version)

    @property
    def codebook(self) -> npt.NDArray[np.float32]:
        """One-hot, shape=(16, 16), dtype=float32."""
        return self._codebook

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the blocks of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            Ids in the order ``abcdefghijklmnop``.

        Raises
        ------
        TokenFormatError
            If no residue has a block.
        """
        ids = np.full(len(chain), PROTEIN_BLOCKS)
        if len(chain) >= 5:
            sequences, _ = to_protein_blocks(_atoms(chain))
            ids = np.asarray(sequences[0].code).astype(np.int64)
        defined = (ids < PROTEIN_BLOCKS) & ~_near_break(chain, reach=2)
        return tokens_from_ids(chain, ids, defined, name=self.name)


def _atoms(chain: Backbone) -> struc.AtomArray:
    """Return N, CA and C of each residue; unresolved ones are NaN, so that angles are undefined."""
    atoms = struc.AtomArray(3 * len(chain))
    coords = np.where(chain.resolved[:, None, None], chain.coords, np.float32(np.nan))
    atoms.coord = coords.reshape(-1, 3)
    atoms.atom_name = np.tile(["N", "CA", "C"], len(chain))
    atoms.element = np.tile(["N", "C", "C"], len(chain))
    # Numbers may repeat and names may be unknown to biotite; neither matters to the angles.
    atoms.res_id = np.repeat(np.arange(1, len(chain) + 1), 3)
    atoms.res_name = np.full(3 * len(chain), "ALA")
    atoms.chain_id = np.full(3 * len(chain), "A")
    return atoms


def _near_break(chain: Backbone, *, reach: int) -> npt.NDArray[np.bool_]:
    """Return True for residues whose window of `reach` on both sides spans a chain break."""
    near = np.zeros(len(chain), dtype=bool)
    bonds = np.linalg.norm(chain.coords[1:, 0] - chain.coords[:-1, 2], axis=-1)
    # NaN compares False: angles beside unresolved residues are undefined anyway.
    for last in np.flatnonzero(bonds > _LONGEST_BOND):
        near[max(0, last - reach + 1) : last + reach + 1] = True
    return near
