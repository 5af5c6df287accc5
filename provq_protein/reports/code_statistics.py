"""What is known of the codes of a model: how often, where, and for which pieces of chain?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provq_protein.reports.chain_records import CodedChain
from provq_protein.reports.code_numbers import CodeFragment, CodeUse, code_use, fragments_by_code
from provq_protein.tokenizer import StructureTokenizer


@dataclass(frozen=True, slots=True)
class CountedSet:
    """
    The training chains that shipped statistics were counted in.

    Parameters
    ----------
    name : str
        What the list of chains is called.
    data_hash : str
        Content hash of the chain store that the model was trained on.
    sha256 : str
        Of the file that the chains were read from.
    seed : int
        Decides the order of the chains, and with it which pieces are averaged.
    version : str
        Of provq.
    """

    name: str
    data_hash: str
    sha256: str
    seed: int
    version: str


@dataclass(frozen=True, eq=False)
class CodeStatistics:
    """
    What a set of chains says about the codes of a model.

    Parameters
    ----------
    fingerprint : str
        Of the model.
    chains : int
        Number of chains.
    use : CodeUse
        How often each code occurs in them, and in which secondary structure.
    fragments : mapping of int to CodeFragment
        By code: the mean piece of chain and its exemplars.
    origin : CountedSet or None
        Which of the model's training chains these are; None for files of the user.
    """

    fingerprint: str
    chains: int
    use: CodeUse
    fragments: Mapping[int, CodeFragment]
    origin: CountedSet | None = None


def code_statistics(
    chains: Sequence[CodedChain],
    tokenizer: StructureTokenizer,
    *,
    origin: CountedSet | None = None,
) -> CodeStatistics:
    """
    Count codes in chains, and average the pieces of chain that have them.

    Parameters
    ----------
    chains : sequence of CodedChain
        Encoded by the model; at least one.
    tokenizer : StructureTokenizer
        The model.
    origin : CountedSet, optional
        Which of the model's training chains these are.

    Returns
    -------
    CodeStatistics
        Pooled over chains.
    """
    known = [one.tokens.resolved for one in chains]
    ids = [one.tokens.ids[there] for one, there in zip(chains, known, strict=True)]
    letters = [one.structure[there] for one, there in zip(chains, known, strict=True)]
    return CodeStatistics(
        fingerprint=tokenizer.fingerprint,
        chains=len(chains),
        use=code_use(ids, letters, tokenizer.codebook_size),
        fragments=fragments_by_code(chains),
        origin=origin,
    )
