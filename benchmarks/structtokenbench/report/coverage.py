"""How much of the benchmark was there, and why not the rest?"""

import re
from collections.abc import Iterable, Mapping, Sequence

from structtokenbench.report.blocks import Column, Row, Table, plain
from structtokenbench.report.reading import by_tokenizer, set_names
from structtokenbench.report.readings import ProbeReading, Readings, SplitCoverage
from structtokenbench.report.scores import ScoreRow, ScoreSet
from structtokenbench.report.tables import PAIRS
from structtokenbench.report.values import MISSING, Trouble, listed, times, written
from structtokenbench.tasks import TASKS

MOST_IDS = 3
_GAP = "…"
# Ids, numbers and lists of them: what differs between two reasons of one kind.
_VARYING = re.compile(r"[^\s,;:()]*\d[^\s,;:()]*(?:[ ,]+[^\s,;:()]*\d[^\s,;:()]*)*")
_TITLES = {"published": "", "local": " (split anew)", "scope": ""}


def coverage_table(found: Readings) -> Table:
    """
    Lay out what was listed, used and scored, for each task and split.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    Table
        Where tokenizers differ, their range.
    """
    columns = (
        Column("task", "text"), Column("labels", "text"), Column("split", "text"),
        Column("listed"), Column("used"), Column("leaks dropped"), Column("proteins scored"),
        Column("labels scored, %"), Column("items without tokens"),
    )  # fmt: skip
    rows: list[Row] = []
    for (task, labels), probes in _by_task(found).items():
        for place, (split, covered) in enumerate(_splits(probes).items()):
            tests = [one.tests[split] for one in probes if split in one.tests]
            shares = [one.scored / one.labelled for one in tests if one.labelled]
            rows.append(
                plain(
                    task if place == 0 else "",
                    labels if place == 0 else "",
                    split,
                    _span([one.listed for one in covered]),
                    _span([one.used for one in covered]),
                    _span([one.dropped for one in covered]),
                    _span([one.proteins for one in tests]) if tests else "",
                    _shares(shares) if tests else "",
                    _span([_without_tokens(one, split) for one in probes]),
                )
            )
    return Table(columns, tuple(rows))


def reasons(found: Readings) -> dict[str, tuple[str, ...]]:
    """
    Say why items could not be used, grouped and counted.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    dict of str to tuple of str
        Sentences with up to three ids each, under a title.
    """
    items: list[str] = []
    tokens: list[str] = []
    by_task = _by_task(found)
    for (task, labels), probes in by_task.items():
        several = sum(one == task for one, _ in by_task) > 1
        where = f"{task} ({labels} labels)" if several else task
        for split, covered in _splits(probes).items():
            items += [f"{where}, {split}: {one}" for one in grouped(_distinct(covered))]
        problems = {
            one.source.tokenizer.label: (*one.token_problems, *one.left_out) for one in probes
        }
        tokens += _shared(where, problems)
    for name in set_names(found.codebooks):
        measured = by_tokenizer(found.codebooks, name).items()
        tokens += _shared(name, {label: one.token_problems for label, one in measured})
    pairs: list[str] = []
    for name in set_names(found.sensitivities):
        paired = by_tokenizer(found.sensitivities, name).items()
        of_set = {label: one.coverage.problems for label, one in paired}
        pairs += _shared(PAIRS.get(name, name), of_set)
    titled = {
        "Items that could not be used": items,
        "Items and chains without tokens, or left out by the settings": tokens,
        "Pairs that could not be used": pairs,
    }
    return {title: tuple(texts) for title, texts in titled.items() if texts}


def missing_scores(scores: ScoreSet) -> tuple[str, ...]:
    """
    Say why cells of a table of scores are empty.

    Parameters
    ----------
    scores : ScoreSet
        Of one setup.

    Returns
    -------
    tuple of str
        One sentence for each reason, with tasks and tokenizers.
    """
    # Reason, then rows, then tokenizers: what concerns all tokenizers is said once.
    lacking: dict[tuple[str, tuple[str, ...]], list[ScoreRow]] = {}
    for row in scores.rows:
        by_reason: dict[str, list[str]] = {}
        for label, reason in row.reasons.items():
            by_reason.setdefault(reason, []).append(label)
        for reason, labels in by_reason.items():
            lacking.setdefault((reason, tuple(labels)), []).append(row)
    everyone = len(scores.tokenizers)
    return tuple(
        f"{listed(_names(rows, scores))}, {_everyone(labels, everyone)}: {reason}"
        + ("" if reason.endswith(".") else ".")
        for (reason, labels), rows in lacking.items()
    )


def grouped(problems: Iterable[Trouble]) -> tuple[str, ...]:
    """
    Count problems of one kind together.

    Parameters
    ----------
    problems : iterable of Trouble
        In any order.

    Returns
    -------
    tuple of str
        The most frequent kind first, each with its number and up to three ids.

    Examples
    --------
    >>> grouped([Trouble(id="a", reason="has 3 labels"), Trouble(id="b", reason="has 4 labels")])
    ('2: has … labels (a and b)',)
    """
    kinds: dict[str, list[Trouble]] = {}
    for one in problems:
        unnamed = re.sub(rf"(?<!\w){re.escape(one.id)}(?!\w)", _GAP, one.reason)
        shape = _VARYING.sub(_GAP, unnamed if one.id else one.reason)
        kinds.setdefault(shape, []).append(one)
    ordered = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    return tuple(
        f"{len(ones):,}: {ones[0].reason if len({one.reason for one in ones}) == 1 else shape} "
        f"({listed([one.id for one in ones], most=MOST_IDS)})"
        for shape, ones in ordered
    )


def _names(rows: Sequence[ScoreRow], scores: ScoreSet) -> list[str]:
    """Names of rows; a task whose rows are all there is named alone."""
    names: dict[str, None] = {}
    for row in rows:
        every = [one for one in scores.rows if one.task == row.task]
        whole = all(one in rows for one in every)
        names[row.task if whole and len(every) > 1 else row.name] = None
    return list(names)


def _by_task(found: Readings) -> dict[tuple[str, str], list[ProbeReading]]:
    """Probes by task and labels, in the order of the registry."""
    order = [*TASKS]
    probes = sorted(
        (one for one in found.probes if one.coverage),
        key=lambda one: order.index(one.task) if one.task in order else len(order),
    )
    by_data: dict[tuple[str, str], list[ProbeReading]] = {}
    for one in probes:
        setup = one.setup
        title = one.task + _TITLES[setup.splits] + (f", {setup.options}" if setup.options else "")
        by_data.setdefault((title, setup.labels), []).append(one)
    return by_data


def _splits(probes: Sequence[ProbeReading]) -> dict[str, list[SplitCoverage]]:
    found: dict[str, list[SplitCoverage]] = {}
    for one in probes:
        for split, covered in one.coverage.items():
            found.setdefault(split, []).append(covered)
    return found


def _distinct(covered: Iterable[SplitCoverage]) -> list[Trouble]:
    """Problems with the data, which each tokenizer's result repeats, once."""
    # A list of problems may name one item twice; the longest list of a reason holds them all.
    longest: dict[Trouble, int] = {}
    for one in covered:
        counts: dict[Trouble, int] = {}
        for problem in one.problems:
            counts[problem] = counts.get(problem, 0) + 1
        for problem, count in counts.items():
            longest[problem] = max(count, longest.get(problem, 0))
    return [problem for problem, count in longest.items() for _ in range(count)]


def _shared(where: str, problems: Mapping[str, Sequence[Trouble]]) -> list[str]:
    """Problems by the label of the tokenizer; what several have is said once."""
    found: dict[str, list[str]] = {}
    for label, own in problems.items():
        for text in grouped(own):
            found.setdefault(text, []).append(label)
    return [
        f"{where}, {_everyone(labels, len(problems))}: {text}" for text, labels in found.items()
    ]


def _everyone(labels: Sequence[str], count: int) -> str:
    return "all tokenizers" if len(labels) == count > 1 else listed(labels)


def _without_tokens(probe: ProbeReading, split: str) -> int:
    # Ids of such items begin with their split, because several splits may have an item.
    return sum(one.id.startswith(f"{split}: ") for one in probe.token_problems)


def _span(values: Sequence[int]) -> str:
    if not values:
        return MISSING
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _shares(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    low, high = (written(value, 1, 100) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def summary(found: Readings) -> str:
    """
    Say in one sentence how much of the published test splits was there.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    str
        Empty without published splits.
    """
    listed_items, used, scored = 0, 0, 0
    seen: set[tuple[str, str]] = set()
    tests = {(task.name, test.split) for task in TASKS.values() for test in task.tests}
    for one in found.probes:
        if one.setup.splits != "published":
            continue
        for split, covered in one.coverage.items():
            if (one.task, split) not in tests or (one.task, split) in seen:
                continue
            seen.add((one.task, split))
            listed_items += covered.listed
            used += covered.used
            scored += covered.used > 0
    if not seen:
        return ""
    return (
        f"Of the {len(tests)} published test splits, {scored} have items at hand: {used:,} of the "
        f"{times(listed_items, 'item')} that the sources list for them."
    )
