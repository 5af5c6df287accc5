"""What do the numbers say of tokenizers and controls?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean

from structtokenbench.report.blocks import Column, Row, Table, plain
from structtokenbench.report.reading import by_tokenizer, set_names
from structtokenbench.report.readings import Readings, Tokenizer
from structtokenbench.report.scores import ScoreRow, ScoreSet, average, common_rows
from structtokenbench.report.tables import PAIRS, SETS, metric_title
from structtokenbench.report.values import Score, interval, listed, number, times, written

_Say = Callable[[ScoreSet], Iterator[str]]
_GROUP_NAMES = {
    "functional": "Functional sites",
    "physicochemical": "Physicochemical properties",
    "structural": "Structural classes",
}


def sentences(scores: ScoreSet) -> tuple[str, ...]:
    """
    Say what the scores of one setup mean.

    Parameters
    ----------
    scores : ScoreSet
        The scores.

    Returns
    -------
    tuple of str
        Sentences; what they claim follows from the numbers.
    """
    parts: tuple[_Say, ...] = (_averages, _alike, _near_chance, _shuffled, _other_controls)
    found = tuple(sentence for part in parts for sentence in part(scores))
    if found:
        return found
    count = len(scores.scored)
    if not count:
        return ("Nothing was scored.",)
    return (f"{times(count, 'task-split')} scored, and nothing to compare with.",)


def task_sentences(scores: ScoreSet) -> tuple[str, ...]:
    """
    Say which tokenizers the best one of each task-split is better than.

    Parameters
    ----------
    scores : ScoreSet
        The scores.

    Returns
    -------
    tuple of str
        One sentence for each task-split in which the best one is beyond any other.
    """
    said = []
    for row in scores.scored:
        present = _bounded(row, scores)
        if len(present) < 2:
            continue
        best = max(present, key=lambda label: row.score(label).value)
        below = [label for label in present if row.score(best).above(row.score(label))]
        if not below:
            continue
        said.append(
            f"{row.name} ({metric_title(row)}): {best} ({_shown(row.score(best))}) is better than "
            f"{listed([f'{one} ({_shown(row.score(one))})' for one in below])}."
        )
    return tuple(said)


def comparison_table(scores: ScoreSet) -> Table:
    """
    Count the task-splits in which one tokenizer is beyond the interval of another.

    Parameters
    ----------
    scores : ScoreSet
        The scores.

    Returns
    -------
    Table
        One row and one column per tokenizer. Each field has the task-splits in which that of the
        row is above, below, and not to be told from that of the column.
    """
    mains = scores.mains
    columns = (Column("", "text"), *(Column(one.label) for one in mains))
    rows: list[Row] = []
    for one in mains:
        fields = [_counts(scores.rows, one.label, other.label) for other in mains]
        rows.append(plain(one.label, *fields))
    return Table(columns, tuple(rows))


def codebook_sentences(found: Readings) -> tuple[str, ...]:
    """
    Say how much of their codebooks tokenizers use.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        One sentence per set.
    """
    said = []
    for name in set_names(found.codebooks):
        measured = by_tokenizer(found.codebooks, name)
        shown = [one for one in found.tokenizers if not one.control and one.label in measured]
        if not shown:
            continue
        said.append(
            f"{SETS.get(name, name)}: "
            + "; ".join(_usage(one, measured[one.label].usage) for one in shown)
            + "."
        )
    return tuple(said)


def sensitivity_sentences(found: Readings) -> tuple[str, ...]:
    """
    Say whose tokens follow the similarity of structures.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        Two sentences or fewer per set.
    """
    said: list[str] = []
    for name in set_names(found.sensitivities):
        measured = by_tokenizer(found.sensitivities, name)
        title = PAIRS.get(name, name)
        for kind in (False, True):
            chosen = {
                one.label: measured[one.label].estimates
                for one in found.tokenizers
                if one.label in measured and one.control == kind
            }
            said += _follows(title, "control" if kind else "tokenizer", chosen)
        said += _lengths(title, [one.estimates["length_spearman"] for one in measured.values()])
    return tuple(said)


def _usage(one: Tokenizer, values: Mapping[str, object]) -> str:
    codes, share = number(values.get("codes")), number(values.get("utilization"))
    used = written(codes * share, 0)
    perplexity = written(number(values.get("normalized_perplexity")), 2)
    return (
        f"{one.label} uses {used} of {written(codes, 0)} codes ({written(share, 1, 100)} %), "
        f"with a normalized perplexity of {perplexity}"
    )


def _follows(title: str, kind: str, estimates: Mapping[str, Mapping[str, Score]]) -> Iterator[str]:
    normalized = {label: one["normalized_spearman"] for label, one in estimates.items()}
    known = {label: one for label, one in normalized.items() if one.bounded}
    if not known:
        return
    above = [label for label in known if known[label].low > 0]
    rest = [label for label in known if label not in above]
    clauses = []
    if above:
        named = [f"{label} ({written(known[label].value, 2)})" for label in above]
        clauses.append(f"it is above 0 for {listed(named)}")
    if rest:
        named = [f"{label} ({written(known[label].value, 2)})" for label in rest]
        clauses.append(f"it is not clearly above 0 for {listed(named)}")
    yield (
        f"Sensitivity, {title}, Spearman correlation of normalized scores with TM, "
        f"{kind}s: {'; '.join(clauses)}."
    )


def _lengths(title: str, found: Sequence[Score]) -> Iterator[str]:
    # Lengths are of residues with a token, so they differ a little between tokenizers.
    values = [one.value for one in found if one.known]
    if values:
        yield (
            f"Sensitivity, {title}: the lengths of the chains alone reach "
            f"{written(max(values, key=abs), 2)}; raw scores contain them."
        )


def _averages(scores: ScoreSet) -> Iterator[str]:
    if scores.setup.splits != "published":
        return
    for group in scores.groups:
        rows = common_rows(scores.of_group(group), scores.mains)
        means = {one.label: average(rows, one.label) for one in scores.mains}
        ranked = sorted(
            ((label, value) for label, value in means.items() if value == value),
            key=lambda one: -one[1],
        )
        if len(ranked) == 1:
            label, value = ranked[0]
            size = f"{len(rows)} of {times(len(scores.of_group(group)), 'row')}"
            yield f"{_GROUP_NAMES[group]}: {label} averages {written(value, 1, 100)} over {size}."
        if len(ranked) < 2:
            continue
        (best, highest), others = ranked[0], ranked[1:]
        counts = [
            f"{label} ({written(value, 1, 100)}) in {_wins(rows, best, label)}"
            for label, value in others
        ]
        yield (
            f"{_GROUP_NAMES[group]}: {best} has the highest average, {written(highest, 1, 100)} "
            f"over {times(len(rows), 'row')} that all have. Beyond intervals it is above "
            f"{listed(counts)} of them."
        )


def _alike(scores: ScoreSet) -> Iterator[str]:
    """Rows in which no tokenizer is beyond another."""
    same = []
    for row in scores.scored:
        present = _bounded(row, scores)
        if len(present) > 1 and not any(
            row.score(one).above(row.score(other)) for one in present for other in present
        ):
            same.append(row.name)
    if same:
        yield f"No two tokenizers can be told apart beyond intervals in {listed(same)}."


def _bounded(row: ScoreRow, scores: ScoreSet) -> list[str]:
    return [one.label for one in scores.mains if row.score(one.label).bounded]


def _near_chance(scores: ScoreSet) -> Iterator[str]:
    """Tokenizers in whose intervals guessing lies."""
    for one in scores.mains:
        rows = [
            row.name
            for row in _of_known_chance(scores)
            if row.score(one.label).contains(row.chance)
        ]
        if rows:
            yield f"{one.label} cannot be told from chance in {listed(rows)}."


def _shuffled(scores: ScoreSet) -> Iterator[str]:
    """What is left of tokens whose places were drawn by lot."""
    for one in scores.controls:
        if not one.name.startswith("shuffled:"):
            continue
        rows = [row for row in _of_known_chance(scores) if row.score(one.label).bounded]
        if not rows:
            continue
        off = [row for row in rows if not row.score(one.label).contains(row.chance)]
        distance = mean(abs(row.score(one.label).value - row.chance) for row in rows)
        text = (
            f"{one.label}: chance lies in the interval of {len(rows) - len(off)} of "
            f"{times(len(rows), 'task-split')} with AUROC or Spearman"
            f"{_per_protein(rows, one.label)}; scores are {written(distance, 1, 100)} points from "
            "chance on average."
        )
        if off:
            named = [f"{row.name} ({_shown(row.score(one.label))})" for row in off]
            text += f" Not near chance: {listed(named)}."
        yield f"{text} {_left_to_shuffled(one)}"


def _per_protein(rows: Sequence[ScoreRow], label: str) -> str:
    """Say the same of residues compared within single proteins."""
    inside = [row.score(label, "per_protein") for row in rows]
    known = [(row, one) for row, one in zip(rows, inside, strict=True) if one.bounded]
    if not known:
        return ""
    near = sum(one.contains(row.chance) for row, one in known)
    return f", and within single proteins of {near} of {len(known)}"


def _left_to_shuffled(one: Tokenizer) -> str:
    if one.placed:
        return (
            "Its probe learns positions in the chain, which shuffling leaves alone: compare it "
            "with the control position."
        )
    return (
        "Its probe is not told positions, so within a protein nothing is left to predict from; "
        "pooled scores also compare residues of different proteins, whose composition is kept."
    )


def _other_controls(scores: ScoreSet) -> Iterator[str]:
    """Compare each tokenizer with what knows less."""
    for control in scores.controls:
        if control.name.startswith("shuffled:"):
            continue
        compared = [one for one in scores.mains if control.base in ("", one.name)]
        clauses = []
        for one in compared:
            rows = [r for r in scores.rows if r.score(one.label).bounded
                    and r.score(control.label).bounded]  # fmt: skip
            if not rows:
                continue
            beyond = sum(r.score(one.label).above(r.score(control.label)) for r in rows)
            below = [r.name for r in rows if r.score(control.label).above(r.score(one.label))]
            text = f"{one.label} is above it beyond intervals in {beyond} of {len(rows)}"
            clauses.append(text + (f" and below it in {listed(below)}" if below else ""))
        if clauses:
            yield f"Control {control.label}: {'; '.join(clauses)}."


def _of_known_chance(scores: ScoreSet) -> list[ScoreRow]:
    return [row for row in scores.rows if row.metric in ("auroc", "spearman")]


def _wins(rows: Sequence[ScoreRow], one: str, other: str) -> str:
    return str(sum(row.score(one).above(row.score(other)) for row in rows))


def _counts(rows: Sequence[ScoreRow], one: str, other: str) -> str:
    if one == other:
        return ""
    both = [row for row in rows if row.score(one).bounded and row.score(other).bounded]
    above = sum(row.score(one).above(row.score(other)) for row in both)
    below = sum(row.score(other).above(row.score(one)) for row in both)
    return f"{above} / {below} / {len(both) - above - below}"


def _shown(score: Score) -> str:
    return f"{written(score.value, 1, 100)} {interval(score, 1, 100)}".strip()
