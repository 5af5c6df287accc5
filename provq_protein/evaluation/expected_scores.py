"""How close do chains come back from a model, according to the folder it was loaded from?"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provq_protein.errors import CheckpointError
from provq_protein.runs.documents import EXPECTED_SCORES as EXPECTED_SCORES
from provq_protein.runs.documents import WEIGHTS, load_document
from provq_protein.runs.files import sha256_of

FORMAT_NAME = "provq-expected-scores"
FORMAT_VERSION = 1
SCORES = ("rmsd", "tm_score", "lddt_ca")


@dataclass(frozen=True, kw_only=True)
class ExpectedScores:
    """
    Medians over a set of chains that a model was not trained on.

    Parameters
    ----------
    weights_sha256 : str
        Of the weights file that was measured.
    chains_of : str
        The set of chains, for instance ``"validation"``.
    chains, residues : int
        How many there are in it; residues are the resolved ones.
    rmsd : float
        Of N, CA and C after superposition without reflection, in Angstrom.
    tm_score, lddt_ca : float
        As in :class:`provq_protein.evaluation.chain_scores.ChainScores`.
    """

    weights_sha256: str
    chains_of: str
    chains: int
    residues: int
    rmsd: float
    tm_score: float
    lddt_ca: float

    def document(self) -> dict[str, Any]:
        """
        Return what the file holds.

        Returns
        -------
        dict
            JSON values.
        """
        return {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}


def expected_scores(folder: Path) -> ExpectedScores | None:
    """
    Read the expected scores of a model folder.

    Parameters
    ----------
    folder : Path
        With weights and, if they were measured, the file `EXPECTED_SCORES`.

    Returns
    -------
    ExpectedScores or None
        None if the folder does not say.

    Raises
    ------
    CheckpointError
        If the file is damaged, of an unknown version, or about other weights.
    """
    path = folder / EXPECTED_SCORES
    if not path.is_file():
        return None
    document = load_document(path)
    form, version = document.pop("format", None), document.pop("format_version", None)
    if (form, version) != (FORMAT_NAME, FORMAT_VERSION):
        msg = f"{path}: format {form!r} version {version!r} is none that this release reads"
        raise CheckpointError(msg)
    try:
        found = ExpectedScores(**document)
        damaged = not all(math.isfinite(getattr(found, name)) for name in SCORES)
    except TypeError as error:
        msg = f"{path}: is damaged ({error})"
        raise CheckpointError(msg) from error
    if damaged:
        msg = f"{path}: is damaged: a score is no number"
        raise CheckpointError(msg)
    if found.weights_sha256 != sha256_of(folder / WEIGHTS):
        msg = f"{path}: is about other weights than {WEIGHTS}; measure again, or remove it"
        raise CheckpointError(msg)
    return found
