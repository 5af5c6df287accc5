"""What does a report know about one chain?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ProvqError
from provq_protein.evaluation.chain_scores import ChainScores, chain_name, score_chain
from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.secondary import phi_psi, secondary_structure
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.formats import detect_format, load_tokens
from provq_protein.tokens.inputs import InputProblem, OnProblem, per_chain
from provq_protein.tokens.sequence import TokenSequence


@dataclass(frozen=True, eq=False)
class CodedChain:
    """
    A chain and its tokens: all that counting codes needs.

    Parameters
    ----------
    name : str
        File and chain.
    tokens : TokenSequence
        Its tokens.
    shown : Backbone
        The original chain; the decoded one where only tokens were given.
    structure : ndarray, shape=(residue,), dtype=str
        Secondary structure of `shown` (`provq_protein.structure.secondary`).
    """

    name: str
    tokens: TokenSequence
    shown: Backbone
    structure: npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class ChainRecord(CodedChain):
    """
    A chain, its tokens, and what became of it.

    Parameters
    ----------
    name : str
        File and chain.
    tokens : TokenSequence
        Its tokens.
    shown : Backbone
        The original chain; the decoded one where only tokens were given.
    structure : ndarray, shape=(residue,), dtype=str
        Secondary structure of `shown` (`provq_protein.structure.secondary`).
    decoded : Backbone or None
        What the tokens decode to, superposed on `shown`; None where that is the decoded chain.
    errors : ndarray, shape=(residue,), dtype=float64, or None
        Distance of each decoded CA from the original, in Angstrom; *NaN* at unresolved residues.
        None where the original is not known.
    scores : ChainScores or None
        Of the decoded chain; None where the original is not known.
    phi, psi : ndarray, shape=(residue,), dtype=float64
        Dihedral angles of `shown` in degrees; *NaN* where there are none.
    """

    decoded: Backbone | None
    errors: npt.NDArray[np.float64] | None
    scores: ChainScores | None
    phi: npt.NDArray[np.float64]
    psi: npt.NDArray[np.float64]


def collect_records(
    inputs: Sequence[str],
    tokenizer: StructureTokenizer,
    *,
    chains: Sequence[str] | None = None,
    on_problem: OnProblem,
    on_record: Callable[[ChainRecord], None],
) -> None:
    """
    Read structure and token files, and describe each of their chains.

    Parameters
    ----------
    inputs : sequence of str
        Structure files and token files, told apart by their content.
    tokenizer : StructureTokenizer
        Encodes and decodes.
    chains : sequence of str, optional
        Author chain ids to use; by default all.
    on_problem : callable
        Called with an `InputProblem` for each file or chain that cannot be used.
    on_record : callable
        Called with each `ChainRecord`, in order.
    """
    for file in inputs:
        if _is_token_file(file):
            _from_tokens(file, tokenizer, chains, on_problem, on_record)
            continue
        for record in per_chain(
            lambda chain: record_of_structure(chain, tokenizer),
            [file],
            chains=chains,
            on_problem=on_problem,
        ):
            on_record(record)


def coded_chain(chain: Backbone, tokenizer: StructureTokenizer) -> CodedChain:
    """
    Encode a chain, and assign its secondary structure.

    Parameters
    ----------
    chain : Backbone
        With at least one resolved residue.
    tokenizer : StructureTokenizer
        Encodes.

    Returns
    -------
    CodedChain
        What codes are counted in; nothing is decoded.
    """
    return CodedChain(
        name=chain_name(chain),
        tokens=tokenizer.encode([chain])[0],
        shown=chain,
        structure=secondary_structure(chain),
    )


def record_of_structure(chain: Backbone, tokenizer: StructureTokenizer) -> ChainRecord:
    """
    Encode and decode a chain, and describe what is left of it.

    Parameters
    ----------
    chain : Backbone
        With at least one resolved residue.
    tokenizer : StructureTokenizer
        Encodes and decodes.

    Returns
    -------
    ChainRecord
        With errors and scores.
    """
    tokens = tokenizer.encode([chain])[0]
    rebuilt = tokenizer.decode([tokens])[0]
    known = chain.resolved
    motion = superpose(rebuilt.coords[known].reshape(-1, 3), chain.coords[known].reshape(-1, 3))
    coords = np.full(chain.coords.shape, np.nan, dtype=np.float32)
    coords[known] = apply_motion(rebuilt.coords[known].reshape(-1, 3), *motion).reshape(-1, 3, 3)
    errors = np.full(len(chain), np.nan)
    errors[known] = np.linalg.norm(coords[known, 1] - chain.coords[known, 1], axis=-1)
    scores = score_chain(chain, rebuilt)
    moved = replace(rebuilt, coords=coords)
    return _record(chain, tokens, decoded=moved, errors=errors, scores=scores)


def record_of_tokens(tokens: TokenSequence, tokenizer: StructureTokenizer) -> ChainRecord:
    """
    Decode a chain of which only the tokens are known, and describe it.

    Parameters
    ----------
    tokens : TokenSequence
        With at least one resolved residue.
    tokenizer : StructureTokenizer
        The model that encoded.

    Returns
    -------
    ChainRecord
        Without errors and scores.

    Raises
    ------
    TokenFormatError
        If another model made the tokens.
    """
    return _record(tokenizer.decode([tokens])[0], tokens)


def _record(
    shown: Backbone,
    tokens: TokenSequence,
    *,
    decoded: Backbone | None = None,
    errors: npt.NDArray[np.float64] | None = None,
    scores: ChainScores | None = None,
) -> ChainRecord:
    phi, psi = phi_psi(shown)
    return ChainRecord(
        name=chain_name(shown),
        tokens=tokens,
        shown=shown,
        decoded=decoded,
        errors=errors,
        scores=scores,
        structure=secondary_structure(shown),
        phi=phi,
        psi=psi,
    )


def _is_token_file(file: str) -> bool:
    try:
        return Path(file).is_file() and detect_format(file) is not None
    except OSError:
        # Whoever reads it as a structure says why it cannot be read.
        return False


def _from_tokens(
    file: str,
    tokenizer: StructureTokenizer,
    chains: Sequence[str] | None,
    on_problem: OnProblem,
    on_record: Callable[[ChainRecord], None],
) -> None:
    try:
        found = load_tokens(file)
    except ProvqError as error:
        on_problem(InputProblem(file, None, str(error).removeprefix(f"{file}: ")))
        return
    if not found:
        on_problem(InputProblem(file, None, "the token file holds no chain"))
    present = {tokens.chain_id for tokens in found}
    for absent in [name for name in chains or () if name not in present]:
        there = ", ".join(sorted(present))
        on_problem(InputProblem(file, absent, f"no such chain; there is {there}"))
    for tokens in found:
        if chains is not None and tokens.chain_id not in chains:
            continue
        if not tokens.resolved.any():
            on_problem(InputProblem(file, tokens.chain_id, "no residue is resolved"))
            continue
        try:
            record = record_of_tokens(tokens, tokenizer)
        except Exception as error:  # noqa: BLE001 - whatever one chain does, the others go on
            reason = " ".join(str(error).split())
            if not isinstance(error, ProvqError):
                reason = f"unexpected {type(error).__name__}: {reason}"
            on_problem(InputProblem(file, tokens.chain_id, reason))
            continue
        on_record(record)
