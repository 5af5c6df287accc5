"""What is known of a result once it was read?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from structtokenbench.report.values import Score, Trouble

SPLIT_KINDS = ("published", "local", "scope")
SCOPE_TASK = "HomoSCOPe"
_CONTROLS = ("position", "amino_acid")
_WRAPPERS = ("shuffled:", "random_codebook:")
UNPLACED = " without positions"
"""Ends the name of a tokenizer whose probe is not told where in the chain a residue is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """
    One tokenizer of the results.

    Parameters
    ----------
    label : str
        What it is called in the report, different for each.
    name : str
        Its name.
    fingerprint : str
        Of its output.
    codes, dim : int or None
        Size of its codebook.
    """

    label: str
    name: str
    fingerprint: str
    codes: int | None
    dim: int | None

    @property
    def control(self) -> bool:
        """Whether it says on purpose less than a tokenizer."""
        return self.name in _CONTROLS or self.name.startswith(_WRAPPERS)

    @property
    def base(self) -> str:
        """Name of the tokenizer whose tokens or codebook it changes; empty for any other."""
        if not self.name.startswith(_WRAPPERS):
            return ""
        return self.name.removesuffix(UNPLACED).split(":", 1)[1]

    @property
    def placed(self) -> bool:
        """Whether its probe knows where in the chain a residue is."""
        return not self.name.endswith(UNPLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    What the scores of one table have in common.

    Parameters
    ----------
    splits : {"published", "local", "scope"}
        Kind of splits.
    labels : str
        ``"exact"`` or ``"union"``.
    options : str
        How the data were prepared, in a few words, where it differs from the defaults.
    preset : str
        Name of the settings of the probe; empty where a result does not tell.
    """

    splits: str
    labels: str
    options: str
    preset: str

    def holds(self, other: "Setup") -> bool:
        """
        Tell whether a result belongs here.

        Parameters
        ----------
        other : Setup
            That of the result, perhaps without preset.

        Returns
        -------
        bool
            Whether all that is known of both agrees.
        """
        return other in (self, replace(self, preset=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TestScore:
    """
    Scores of one test split.

    Parameters
    ----------
    estimates : mapping of str to Score
        By mode.
    proteins, labelled, scored : int
        Proteins; labelled residues or items; those with a token.
    note : str
        Why the primary score is missing.
    """

    # pytest would collect the class by its name.
    __test__ = False

    estimates: Mapping[str, Score]
    proteins: int
    labelled: int
    scored: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCoverage:
    """
    How much of a split was there.

    Parameters
    ----------
    listed, used : int
        Items of the source, and those that could be used.
    problems : tuple of Trouble
        Why not the others.
    dropped : int
        Items left out because a relative is in another split.
    """

    listed: int
    used: int
    problems: tuple[Trouble, ...]
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    Common to all results.

    Parameters
    ----------
    key : str
        Of the result.
    tokenizer : Tokenizer
        Measured.
    origin, content_hash : str
        Of the data.
    seconds : float
        That the measurement took.
    settings, versions : mapping of str to object
        Under which it was made.
    """

    key: str
    tokenizer: Tokenizer
    origin: str
    content_hash: str
    seconds: float
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReading:
    """
    One task probed with one tokenizer.

    Parameters
    ----------
    source : Source
        Where it comes from.
    task : str
        Name of the task.
    setup : Setup
        Of the table that it belongs to.
    tests : mapping of str to TestScore
        By test split.
    coverage : mapping of str to SplitCoverage
        By split.
    token_problems : tuple of Trouble
        Chains without tokens.
    left_out : tuple of Trouble
        Items that the settings exclude.
    failed : str
        Why there are no scores; empty otherwise.
    rates : tuple of float
        Learning rates tried.
    rate : float
        The one chosen.
    """

    source: Source
    task: str
    setup: Setup
    tests: Mapping[str, TestScore]
    coverage: Mapping[str, SplitCoverage]
    token_problems: tuple[Trouble, ...]
    left_out: tuple[Trouble, ...]
    failed: str
    rates: tuple[float, ...]
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookReading:
    """
    Use of the codes of one tokenizer on one set.

    Parameters
    ----------
    source : Source
        Where it comes from.
    set_name : str
        Of the set.
    chains : int
        Of the set.
    token_problems : tuple of Trouble
        Chains without tokens.
    counts : tuple of int
        How often each code occurs.
    usage, geometry : mapping of str to object
        Fields of `codebook.Usage` and `codebook.Geometry`; empty where there is none.
    """

    source: Source
    set_name: str
    chains: int
    token_problems: tuple[Trouble, ...]
    counts: tuple[int, ...]
    usage: Mapping[str, Any]
    geometry: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityReading:
    """
    Similarity of tokens against that of structures, on one set of pairs.

    Parameters
    ----------
    source : Source
        Where it comes from.
    set_name : str
        Of the set.
    coverage : SplitCoverage
        Pairs listed and used.
    estimates : mapping of str to Score
        Correlations by name, such as ``"normalized_spearman"``.
    points : tuple of (float, float)
        TM-score and normalized score of each pair that has both.
    """

    source: Source
    set_name: str
    coverage: SplitCoverage
    estimates: Mapping[str, Score]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """
    All results that could be read.

    Parameters
    ----------
    tokenizers : tuple of Tokenizer
        In the order of the results, controls last.
    probes, codebooks, sensitivities : tuple
        Readings, in the order of the results.
    notes : tuple of str
        What was left out or replaced.
    """

    tokenizers: tuple[Tokenizer, ...]
    probes: tuple[ProbeReading, ...]
    codebooks: tuple[CodebookReading, ...]
    sensitivities: tuple[SensitivityReading, ...]
    notes: tuple[str, ...] = field(default=())
