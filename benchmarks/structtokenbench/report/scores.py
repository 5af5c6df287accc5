"""Which task-splits were scored, by which tokenizers, and why do the others have no score?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from structtokenbench.published import published
from structtokenbench.report.readings import (
    SCOPE_TASK,
    ProbeReading,
    Readings,
    Setup,
    TestScore,
    Tokenizer,
)
from structtokenbench.report.values import Score
from structtokenbench.tasks import GROUPS, TASKS, TestSplit

PRIMARY = "pooled"
PUBLISHED_MODE = "batch_mean_published"
METRICS = {"auroc": "AUROC", "spearman": "Spearman", "macro_f1": "macro F1"}
GROUP_TITLES = {
    "functional": "Functional site prediction (AUROC, %)",
    "physicochemical": "Physicochemical properties (Spearman correlation, %)",
    "structural": "Structural classification (macro F1, %)",
}
_CHANCE = {"auroc": 0.5, "spearman": 0.0}
_NO_SCORE = Score(value=float("nan"), low=float("nan"), high=float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """
    One test split of one task.

    Parameters
    ----------
    task, split : str
        Names.
    label : str
        What the split is called in print.
    group, metric : str
        As in the registry.
    chance : float
        What guessing reaches; *NaN* where that depends on unknown classes.
    tests : mapping of str to TestScore
        Scores, by the label of the tokenizer.
    reasons : mapping of str to str
        Why a tokenizer has none, by its label.
    hashes : frozenset of str
        Of the data that the tokenizers were scored on.
    """

    task: str
    split: str
    label: str
    group: str
    metric: str
    chance: float
    tests: Mapping[str, TestScore]
    reasons: Mapping[str, str]
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        """Task and split, as they are called in print."""
        return f"{self.task} {self.label}"

    def score(self, label: str, mode: str = PRIMARY) -> Score:
        """
        Return the score of a tokenizer.

        Parameters
        ----------
        label : str
            Of the tokenizer.
        mode : str
            How residues are averaged.

        Returns
        -------
        Score
            *NaN* where there is none.
        """
        test = self.tests.get(label)
        return test.estimates.get(mode, _NO_SCORE) if test else _NO_SCORE

    @property
    def proteins(self) -> tuple[int, ...]:
        """The different numbers of proteins that tokenizers were scored on, in order."""
        return tuple(sorted({test.proteins for test in self.tests.values()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSet:
    """
    The scores of one table.

    Parameters
    ----------
    setup : Setup
        What they have in common.
    rows : tuple of ScoreRow
        Task-splits, in the order of the registry.
    tokenizers : tuple of Tokenizer
        Those with a result, controls last.
    """

    setup: Setup
    rows: tuple[ScoreRow, ...]
    tokenizers: tuple[Tokenizer, ...]

    @property
    def mains(self) -> tuple[Tokenizer, ...]:
        """Tokenizers that are no controls."""
        return tuple(one for one in self.tokenizers if not one.control)

    @property
    def controls(self) -> tuple[Tokenizer, ...]:
        """The controls."""
        return tuple(one for one in self.tokenizers if one.control)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that have a row."""
        return tuple(group for group in GROUPS if self.of_group(group))

    def of_group(self, group: str) -> tuple[ScoreRow, ...]:
        """
        Return the rows of a group.

        Parameters
        ----------
        group : str
            One of the registry's groups.

        Returns
        -------
        tuple of ScoreRow
            In order.
        """
        return tuple(row for row in self.rows if row.group == group)

    @property
    def scored(self) -> tuple[ScoreRow, ...]:
        """Rows with a primary score of any tokenizer."""
        return tuple(
            row for row in self.rows if any(row.score(one.label).known for one in self.tokenizers)
        )


def score_sets(found: Readings, kind: str) -> tuple[ScoreSet, ...]:
    """
    Arrange the scores of one kind of splits.

    Parameters
    ----------
    found : Readings
        All results.
    kind : {"published", "local", "scope"}
        Kind of splits.

    Returns
    -------
    tuple of ScoreSet
        One for each setup that was measured.
    """
    probes = [one for one in found.probes if one.setup.splits == kind]
    setups = list(dict.fromkeys(one.setup for one in probes if one.tests))
    # A failed task need not tell its preset; where nothing else was measured, it stands alone.
    for probe in probes:
        if not any(setup.holds(probe.setup) for setup in setups):
            setups.append(probe.setup)
    elsewhere = {
        (one.source.tokenizer.label, one.task): one.setup.splits
        for one in found.probes
        if one.setup.splits != kind
    }
    return tuple(_score_set(found, probes, setup, elsewhere) for setup in setups)


def common_rows(
    rows: Sequence[ScoreRow], tokenizers: Sequence[Tokenizer], mode: str = PRIMARY
) -> tuple[ScoreRow, ...]:
    """
    Return the rows that an average may be taken over that compares tokenizers.

    Parameters
    ----------
    rows : sequence of ScoreRow
        Of one group.
    tokenizers : sequence of Tokenizer
        To be compared. Those without any score in these rows do not count.
    mode : str
        How residues are averaged.

    Returns
    -------
    tuple of ScoreRow
        Those for which all have a score.
    """
    present = [one.label for one in tokenizers if any(r.score(one.label, mode).known for r in rows)]
    if not present:
        return ()
    return tuple(row for row in rows if all(row.score(one, mode).known for one in present))


def average(rows: Sequence[ScoreRow], label: str, mode: str = PRIMARY) -> float:
    """
    Average the scores of a tokenizer.

    Parameters
    ----------
    rows : sequence of ScoreRow
        Over these.
    label : str
        Of the tokenizer.
    mode : str
        How residues are averaged.

    Returns
    -------
    float
        *NaN* if there is no row, or no score in one of them.
    """
    values = [row.score(label, mode).value for row in rows]
    return float(np.mean(values)) if values else float("nan")


def paper_scores(row: ScoreRow) -> Mapping[str, float]:
    """
    Return what the paper printed for a task-split.

    Parameters
    ----------
    row : ScoreRow
        Of the published splits.

    Returns
    -------
    mapping of str to float
        In percent, by the paper's name of the tokenizer.
    """
    return published().scores[row.task, row.split]


def _score_set(
    found: Readings,
    probes: Sequence[ProbeReading],
    setup: Setup,
    elsewhere: Mapping[tuple[str, str], str],
) -> ScoreSet:
    chosen = {
        (one.source.tokenizer.label, one.task): one
        for one in sorted(probes, key=lambda one: bool(one.tests))
        if setup.holds(one.setup)
    }
    present = {label for label, _ in chosen}
    tokenizers = tuple(one for one in found.tokenizers if one.label in present)
    rows = [
        _row(task, test, chosen, tokenizers, elsewhere)
        for task, test in _registered(setup.splits, list(chosen.values()))
    ]
    return ScoreSet(setup=setup, rows=tuple(rows), tokenizers=tokenizers)


def _registered(kind: str, probes: Sequence[ProbeReading]) -> list[tuple[str, TestSplit]]:
    """Task-splits that the table of this kind has."""
    if kind == "published":
        return [(task.name, test) for task in TASKS.values() for test in task.tests]
    if kind == "scope":
        return [(SCOPE_TASK, test) for test in TASKS["Homo"].tests]
    measured = {probe.task for probe in probes}
    return [(name, TestSplit("local_test", "Local")) for name in TASKS if name in measured]


def _row(
    name: str,
    test: TestSplit,
    chosen: Mapping[tuple[str, str], ProbeReading],
    tokenizers: Sequence[Tokenizer],
    elsewhere: Mapping[tuple[str, str], str],
) -> ScoreRow:
    task = TASKS["Homo" if name == SCOPE_TASK else name]
    probes = {one.label: chosen.get((one.label, name)) for one in tokenizers}
    tests = {
        label: probe.tests[test.split]
        for label, probe in probes.items()
        if probe is not None and test.split in probe.tests
    }
    classes = 1 / task.num_outputs if name != SCOPE_TASK else float("nan")
    row = ScoreRow(
        task=name,
        split=test.split,
        label=test.label,
        group=task.group,
        metric=task.metric,
        chance=_CHANCE.get(task.metric, classes),
        tests=tests,
        reasons={},
        hashes=frozenset(
            one.source.content_hash for label, one in probes.items() if one and label in tests
        ),
    )
    reasons = {
        label: _reason(row, label, probe, elsewhere)
        for label, probe in probes.items()
        if not row.score(label).known
    }
    return replace(row, reasons=reasons)


def _reason(
    row: ScoreRow,
    label: str,
    probe: ProbeReading | None,
    elsewhere: Mapping[tuple[str, str], str],
) -> str:
    if probe is None:
        other = elsewhere.get((label, row.task))
        return f"measured with {other} splits instead" if other else "not measured"
    if probe.failed:
        return probe.failed
    test = probe.tests.get(row.split)
    if test is not None:
        return test.note or row.score(label).note or "no value in the results"
    covered = probe.coverage.get(row.split)
    if covered is None or not covered.listed:
        return "the data at hand list no item of this split"
    left = f"{covered.used:,} of {covered.listed:,} listed items could be used"
    return f"no score: {left}, {covered.dropped:,} of them left out as leaks"
