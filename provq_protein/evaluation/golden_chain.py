"""What must the shipped model make of one chain that is shipped with it?"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import CheckpointError
from provq_protein.evaluation.chain_scores import score_chain
from provq_protein.runs.documents import WEIGHTS, load_document
from provq_protein.runs.files import sha256_of
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer

if TYPE_CHECKING:
    from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer

CHAIN = "1a8o.cif"
EXPECTED = "expected.json"
_DIGITS = 4


@dataclass(frozen=True)
class Golden:
    """
    What a model makes of the golden chain.

    Parameters
    ----------
    fingerprint : str
        Of the model.
    weights_sha256 : str
        Of its weights file; two models of one fingerprint may decode differently.
    ids : tuple of int
        One per residue of the chain, all of which are resolved.
    rmsd : float
        Of N, CA and C after encoding, decoding and superposition, in Angstrom.
    """

    fingerprint: str
    weights_sha256: str
    ids: tuple[int, ...]
    rmsd: float


def golden_folder() -> Path:
    """
    Return the folder of the golden chain and of what is expected of it.

    Returns
    -------
    Path
        Part of the package.
    """
    return Path(str(resources.files("provq_protein").joinpath("models", "golden")))


def golden_chain() -> Backbone:
    """
    Read the golden chain.

    Returns
    -------
    Backbone
        Chain A of PDB entry 1A8O, 70 residues. No id of it is near a border between codes:
        rounding on another machine must change none.

    Raises
    ------
    StructureError
        If the file cannot be read.
    """
    return read_backbones(golden_folder() / CHAIN)[0]


def expected_golden() -> Golden:
    """
    Read what the shipped model makes of the golden chain.

    Returns
    -------
    Golden
        As committed.

    Raises
    ------
    CheckpointError
        If this installation lacks the file, or it is damaged or of another chain.
    StructureError
        If the chain cannot be read.
    """
    path = golden_folder() / EXPECTED
    if not path.is_file():
        msg = f"{path}: this installation does not say what is expected of the golden chain"
        raise CheckpointError(msg)
    document = load_document(path)
    try:
        golden = Golden(**{**document, "ids": tuple(document["ids"])})
    except (KeyError, TypeError) as error:
        msg = f"{path}: is damaged ({error})"
        raise CheckpointError(msg) from error
    if len(golden.ids) != len(golden_chain()):
        msg = f"{path}: {len(golden.ids)} ids for a chain of {len(golden_chain())} residues"
        raise CheckpointError(msg)
    return golden


def measure_golden(tokenizer: StructureTokenizer, folder: Path) -> Golden:
    """
    Find out what a model makes of the golden chain.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    folder : Path
        Where it was loaded from.

    Returns
    -------
    Golden
        To compare with, or to be expected from now on.
    """
    return Golden(
        fingerprint=tokenizer.fingerprint,
        weights_sha256=sha256_of(folder / WEIGHTS),
        ids=golden_ids(tokenizer),
        rmsd=golden_rmsd(tokenizer),
    )


def golden_ids(tokenizer: "StructureTokenizer | OnnxStructureTokenizer") -> tuple[int, ...]:
    """
    Encode the golden chain.

    Parameters
    ----------
    tokenizer : StructureTokenizer or OnnxStructureTokenizer
        A model, with torch or without.

    Returns
    -------
    tuple of int
        One id per residue.
    """
    return tuple(tokenizer.encode([golden_chain()])[0].ids.tolist())


def golden_rmsd(tokenizer: StructureTokenizer) -> float:
    """
    Encode and decode the golden chain.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        A model.

    Returns
    -------
    float
        RMSD of N, CA and C after superposition without reflection, in Angstrom, to four decimals.
    """
    chain = golden_chain()
    decoded = tokenizer.decode(tokenizer.encode([chain]))[0]
    return round(score_chain(chain, decoded).rmsd, _DIGITS)
