"""How do scores, codebooks and sensitivity read as tables?"""

from collections.abc import Mapping, Sequence

import numpy as np

from structtokenbench.published import CodebookRow, published
from structtokenbench.report.blocks import Cell, Column, Row, Table, plain
from structtokenbench.report.reading import by_tokenizer, set_names
from structtokenbench.report.readings import CodebookReading, Readings, Tokenizer
from structtokenbench.report.scores import (
    GROUP_TITLES,
    METRICS,
    PRIMARY,
    PUBLISHED_MODE,
    ScoreRow,
    ScoreSet,
    average,
    common_rows,
    paper_scores,
)
from structtokenbench.report.values import (
    MISSING,
    Score,
    interval,
    mapping,
    number,
    sequence,
    times,
    written,
)

SETS = {"casp14": "CASP14", "cameo2022": "CAMEO2022"}
PAIRS = {"apo_holo": "apo and holo", "fold_switching": "fold switching"}
_CORRELATIONS = (
    ("normalized_spearman", "normalized, Spearman"),
    ("normalized_pearson", "normalized, Pearson"),
    ("raw_spearman", "raw (published), Spearman"),
    ("raw_pearson", "raw (published), Pearson"),
    ("length_spearman", "length alone, Spearman"),
    ("length_pearson", "length alone, Pearson"),
)


def score_table(
    scores: ScoreSet, columns: Sequence[Tokenizer], *, mode: str = PRIMARY, paper: bool = False
) -> Table:
    """
    Lay out scores as the paper's table 3 does.

    Parameters
    ----------
    scores : ScoreSet
        Of one setup.
    columns : sequence of Tokenizer
        Some of its tokenizers.
    mode : str
        How residues are averaged. Intervals are shown for the primary one.
    paper : bool
        Whether the paper's columns stand beside them.

    Returns
    -------
    Table
        One row per task-split with a score, in percent, with averages of the groups where the
        splits are the published ones.
    """
    printed = published().columns if paper else ()
    head = (
        Column("task", "text"),
        Column("split", "text"),
        Column("n"),
        *(Column(one.label, "control" if one.control else "number") for one in columns),
        *(Column(f"{name} (paper)", "paper") for name in printed),
    )
    rows: list[Row] = []
    for group in scores.groups:
        shown = [
            row
            for row in scores.of_group(group)
            if any(row.score(one.label, mode).known for one in scores.tokenizers)
        ]
        if not shown:
            continue
        rows.append(plain(GROUP_TITLES[group], kind="group"))
        rows += [_score_row(row, columns, mode, printed) for row in shown]
        if scores.setup.splits == "published":
            rows += _averages(scores, group, columns, mode, printed)
    return Table(head, tuple(rows))


def has_published_mode(scores: ScoreSet) -> bool:
    """
    Tell whether any score is there by the published protocol.

    Parameters
    ----------
    scores : ScoreSet
        Of one setup.

    Returns
    -------
    bool
        Whether a table of them would have a row.
    """
    return any(
        row.score(one.label, PUBLISHED_MODE).known
        for row in scores.rows
        for one in scores.tokenizers
    )


def _score_row(
    row: ScoreRow, columns: Sequence[Tokenizer], mode: str, printed: Sequence[str]
) -> Row:
    values = [row.score(one.label, mode).value for one in columns if not one.control]
    finite = [value for value in values if np.isfinite(value)]
    best = max(finite) if len(finite) > 1 else None
    cells = [_score_cell(row.score(one.label, mode), mode, best) for one in columns]
    paper = paper_scores(row) if printed else {}
    counts = row.proteins
    size = MISSING if not counts else f"{counts[0]:,}"
    if len(counts) > 1:
        size += f" to {counts[-1]:,}"
    return Row(
        (
            Cell(row.task),
            Cell(row.label),
            Cell(size),
            *cells,
            *(Cell(written(paper[name], 2)) for name in printed),
        )
    )


def _score_cell(score: Score, mode: str, best: float | None) -> Cell:
    detail = interval(score, 1, 100) if mode == PRIMARY else ""
    return Cell(written(score.value, 1, 100), detail, strong=score.value == best)


def _averages(
    scores: ScoreSet,
    group: str,
    columns: Sequence[Tokenizer],
    mode: str,
    printed: Sequence[str],
) -> list[Row]:
    """Averages that compare columns; those of each column's own rows; those that were printed."""
    every = scores.of_group(group)
    # A table of controls averages over the same rows as the one above it.
    compared = scores.mains or scores.tokenizers
    shared = common_rows(every, compared, mode)
    rows = []
    if shared:
        cells = [Cell(written(average(shared, one.label, mode), 1, 100)) for one in columns]
        paper = [
            Cell(written(float(np.mean([paper_scores(row)[name] for row in shared])), 2))
            for name in printed
        ]
        title = f"average of {times(len(shared), 'row')} of {len(every)}"
        rows.append(Row((Cell(title), Cell("in common"), Cell(""), *cells, *paper), "average"))
    own = {one.label: [row for row in every if row.score(one.label, mode).known] for one in columns}
    if any(len(kept) not in (0, len(shared)) for kept in own.values()):
        cells = [
            Cell(
                written(average(own[one.label], one.label, mode), 1, 100),
                f"({len(own[one.label])})" if own[one.label] else "",
            )
            for one in columns
        ]
        blank = [Cell("") for _ in printed]
        head = (Cell("average of its own rows"), Cell("(how many)"), Cell(""))
        rows.append(Row((*head, *cells, *blank), "average"))
    if printed:
        cells = [Cell("") for _ in columns]
        paper = [Cell(written(published().averages[group][name], 2)) for name in printed]
        head = (Cell(f"average of all {len(every)} rows"), Cell("as printed"), Cell(""))
        rows.append(Row((*head, *cells, *paper), "average"))
    return rows


def usage_table(found: Readings, set_name: str) -> Table:
    """
    Lay out the use of codes beside the paper's.

    Parameters
    ----------
    found : Readings
        All results.
    set_name : str
        One of the sets measured.

    Returns
    -------
    Table
        One row per tokenizer, then controls, then the paper's tokenizers.
    """
    columns = (
        Column("tokenizer", "text"), Column("codes"), Column("chains"), Column("residues"),
        Column("UR, %"), Column("norm. perplexity"), Column("bits per residue"),
        Column("UR of 8, %"), Column("norm. perplexity of 8"),
        Column("UR of 1, %"), Column("norm. perplexity of 1"),
    )  # fmt: skip
    measured = by_tokenizer(found.codebooks, set_name)
    rows = _grouped(found.tokenizers, {k: _usage_row(k, v) for k, v in measured.items()})
    if set_name in SETS:
        rows.append(plain("printed in the paper, means over batches of unknown size", kind="group"))
        rows += [_paper_usage(row, set_name) for row in published().codebooks]
    return Table(columns, tuple(rows))


def geometry_table(found: Readings) -> Table:
    """
    Lay out distances and similarities of codes beside the paper's.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    Table
        One row per tokenizer with a codebook, then controls, then the paper's tokenizers.
    """
    names = set_names(found.codebooks)
    columns = (
        Column("tokenizer", "text"), Column("codes"), Column("dimensions"),
        Column("mean distance"), Column("distance over norm"), Column("mean cosine"),
        Column("5 to 95 % of cosines"), Column("nearest cosine"),
        *(Column(f"cosine by use, {SETS.get(name, name)}") for name in names),
    )  # fmt: skip
    each = {name: by_tokenizer(found.codebooks, name) for name in names}
    measured = {}
    for one in found.tokenizers:
        held = [each[name].get(one.label) for name in names]
        first = next((reading for reading in held if reading and reading.geometry), None)
        if first is not None:
            by_use = [_of(one, "usage_weighted_cosine") for one in held]
            measured[one.label] = _geometry_row(one.label, first, by_use)
    rows = _grouped(found.tokenizers, measured)
    if rows:
        rows.append(plain("printed in the paper", kind="group"))
        blank = [""] * (len(columns) - 4)
        rows += [
            plain(row.model, "", "", written(row.distance, 2), *blank)
            for row in published().codebooks
        ]
    return Table(columns, tuple(rows))


def sensitivity_table(found: Readings, set_name: str) -> Table:
    """
    Lay out how token similarity follows structural similarity.

    Parameters
    ----------
    found : Readings
        All results.
    set_name : str
        One of the sets measured.

    Returns
    -------
    Table
        One row per tokenizer, then controls.
    """
    columns = (
        Column("tokenizer", "text"),
        Column("pairs"),
        *(Column(title) for _, title in _CORRELATIONS),
    )
    measured = {
        label: Row(
            (
                Cell(label),
                Cell(f"{one.coverage.used:,} of {one.coverage.listed:,}"),
                *(
                    Cell(written(score.value, 2), interval(score, 2))
                    for score in (one.estimates[name] for name, _ in _CORRELATIONS)
                ),
            )
        )
        for label, one in by_tokenizer(found.sensitivities, set_name).items()
    }
    return Table(columns, tuple(_grouped(found.tokenizers, measured)))


def metric_title(row: ScoreRow) -> str:
    """
    Name the metric of a row.

    Parameters
    ----------
    row : ScoreRow
        A task-split.

    Returns
    -------
    str
        As in sentences.
    """
    return METRICS[row.metric]


def _grouped(tokenizers: Sequence[Tokenizer], measured: Mapping[str, Row]) -> list[Row]:
    """Rows of tokenizers, and below a line of their own those of controls."""
    mains = [measured[one.label] for one in tokenizers if one.label in measured and not one.control]
    controls = [measured[one.label] for one in tokenizers if one.label in measured and one.control]
    return [*mains, *([plain("controls", kind="group"), *controls] if controls else [])]


def _usage_row(label: str, reading: CodebookReading) -> Row:
    usage = reading.usage
    batches = {
        mapping(one).get("chains_per_batch"): mapping(one)
        for one in sequence(usage.get("batch_means"))
    }
    cells = [label, written(number(usage.get("codes")), 0), f"{reading.chains:,}"]
    cells += [written(number(usage.get("residues")), 0)]
    cells += [written(number(usage.get("utilization")), 1, 100)]
    cells += [written(number(usage.get("normalized_perplexity")), 4)]
    cells += [written(number(usage.get("entropy_bits")), 2)]
    for size in (8, 1):
        batch = batches.get(size, {})
        cells += [written(number(batch.get("utilization")), 2, 100)]
        cells += [written(number(batch.get("normalized_perplexity")), 4)]
    return plain(*cells)


def _paper_usage(row: CodebookRow, set_name: str) -> Row:
    if set_name == "casp14":
        usage, perplexity = row.casp14_utilization, row.casp14_perplexity
    else:
        usage, perplexity = row.cameo_utilization, row.cameo_perplexity
    shown = [written(usage, 2), written(perplexity, 4)]
    # Under the columns of the batches that the benchmark's code takes.
    return plain(row.model, *[""] * 6, *shown, "", "")


def _geometry_row(label: str, reading: CodebookReading, by_use: Sequence[float]) -> Row:
    quantiles = sequence(reading.geometry.get("cosine_quantiles"))
    ends = [number(quantiles[place]) for place in (0, -1)] if quantiles else []
    span = " to ".join(written(end, 2) for end in ends) or MISSING
    return plain(
        label,
        written(_of(reading, "codes"), 0),
        written(_of(reading, "dim"), 0),
        written(_of(reading, "mean_distance_with_diagonal"), 2),
        written(_of(reading, "relative_distance"), 2),
        written(_of(reading, "mean_cosine"), 3),
        span,
        written(_of(reading, "nearest_cosine"), 3),
        *(written(value, 3) for value in by_use),
    )


def _of(reading: CodebookReading | None, name: str) -> float:
    return number(reading.geometry.get(name)) if reading else float("nan")
