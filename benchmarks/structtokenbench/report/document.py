"""What stands in the report, and in which order?"""

from collections.abc import Sequence

from structtokenbench.report import coverage, findings, method
from structtokenbench.report.blocks import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Picture,
    Table,
)
from structtokenbench.report.pictures import Pictures
from structtokenbench.report.reading import set_names
from structtokenbench.report.readings import Readings
from structtokenbench.report.scores import PUBLISHED_MODE, ScoreSet, score_sets
from structtokenbench.report.tables import (
    PAIRS,
    SETS,
    geometry_table,
    has_published_mode,
    score_table,
    sensitivity_table,
    usage_table,
)

_SCORE_LEGEND = (
    "In percent, higher is better. A score is the mean over seeds, over all residues of the split "
    "pooled; brackets are 95 % bootstrap intervals over proteins, n is the number of proteins. "
    "Bold is the highest of the tokenizers, whether or not the intervals tell it from others."
)
_PAPER_NOTE = (
    "Averages have no interval. Columns marked (paper) are the paper's (arXiv:2603.22304, Table "
    "3), measured by its authors on their full data with the published protocol. They are not "
    "comparable number by number: "
    "ours are of the part of the benchmark at hand (see the coverage), with other residues, "
    "labels and training sets."
)
_PROTOCOL_NOTE = (
    "The same probes scored as the benchmark's code does it: AUROC and macro F1 are means over "
    "batches of 8 and 64 proteins in file order, a batch of one class counts as 0, and Spearman "
    "is pooled. Such means depend on the order of the file."
)
_LOCAL_NOTE = (
    "For these tasks the benchmark's training or validation split is not at hand, so that all "
    "items at hand were split anew by sequence cluster. These scores belong to no column of the "
    "paper, and are in no average."
)
_SCOPE_NOTE = (
    "Fold classification of SCOPe domains, with families, superfamilies and folds held out. Its "
    "classes and domains are not those of the benchmark's homology task; these scores belong to no "
    "column of the paper, and are in no average."
)
_COMPARISON_NOTE = (
    "In how many task-splits the tokenizer of the row is above / below / not to be told from that "
    "of the column. Above means that its interval lies wholly above the other's. That is strict: "
    "intervals over the same proteins may overlap although the difference is not by chance."
)
_USAGE_NOTE = (
    "UR is the share of codes in use, perplexity the number of equally frequent codes of the same "
    "entropy, divided by the number of codes. The first columns count all residues of the set "
    "together; those of 8 and of 1 are means over batches of as many chains, as the benchmark's "
    "code computes them. Such means grow with the batch. The paper does not state its batch."
)
_GEOMETRY_NOTE = (
    "The mean Euclidean distance is over all ordered pairs of codes, each code with itself "
    "included, as printed in the paper (Table 4). It grows with scale and dimension of the codes: "
    "compare the distance over the mean norm, and cosines. The nearest cosine is the mean over "
    "codes of that with the most similar other code; by use, pairs count as often as both occur."
)
_SENSITIVITY_NOTE = (
    "Correlation of the similarity of two chains' tokens with the TM-score of their structures, "
    "with 95 % bootstrap intervals over pairs. Normalized scores, the primary measure, are "
    "relative to the score of each chain with itself. Raw scores are the published measure and "
    "grow with length; length alone is what a raw score would reach that knew nothing else."
)
_COVERAGE_NOTE = (
    "Listed are the items that the source has, used those that could be; leaks are items that were "
    "left out because a relative is in another split. Labels scored is the share of labelled "
    "residues (of items, for a task per chain) that have a token. A range is over tokenizers. The "
    "results file names every item and reason."
)
_KIND_TITLES = {
    "published": "Table 3: the twelve tasks",
    "local": "Tasks split anew (local)",
    "scope": "SCOPe holdouts",
}
_NOTES = {"published": _PAPER_NOTE, "local": _LOCAL_NOTE, "scope": _SCOPE_NOTE}


def document(found: Readings, title: str, pictures: Pictures) -> tuple[Block, ...]:
    """
    Compose the report.

    Parameters
    ----------
    found : Readings
        All results.
    title : str
        Of the page.
    pictures : Pictures
        Draws and names the figures.

    Returns
    -------
    tuple of Block
        From top to bottom.
    """
    kinds = {kind: score_sets(found, kind) for kind in _KIND_TITLES}
    blocks: list[Block] = [Heading(title, 1), *_findings(found, kinds["published"])]
    for kind, sets in kinds.items():
        for place, scores in enumerate(sets):
            name = {"published": "tasks"}.get(kind, kind) + (f"_{place + 1}" if place else "")
            heading = _titled(_KIND_TITLES[kind], scores, alone=len(sets) == 1)
            blocks += _scores(scores, heading, pictures.forest(scores, name))
    blocks += _codebooks(found, pictures)
    blocks += _sensitivity(found, pictures)
    blocks += _coverage(found)
    blocks += _method(found)
    return tuple(blocks)


def _findings(found: Readings, published_sets: Sequence[ScoreSet]) -> list[Block]:
    blocks: list[Block] = [
        Heading("What the numbers say"),
        Paragraph(
            "Computed from the numbers below. Beyond intervals means that the 95 % intervals of "
            "two scores do not overlap."
        ),
    ]
    for scores in published_sets:
        if len(published_sets) > 1:
            blocks.append(Heading(_titled("Tasks", scores, alone=False), 3))
        blocks.append(Bullets(findings.sentences(scores)))
    others = (*findings.codebook_sentences(found), *findings.sensitivity_sentences(found))
    blocks += _bullets(others)
    summary = coverage.summary(found)
    return [*blocks, *_bullets((summary,) if summary else ())]


def _scores(scores: ScoreSet, heading: str, picture: Picture | None) -> list[Block]:
    kind = scores.setup.splits
    blocks: list[Block] = [Heading(heading), Paragraph(_NOTES[kind])]
    if not scores.scored:
        return [*blocks, *_bullets(coverage.missing_scores(scores))]
    blocks.append(Paragraph(_SCORE_LEGEND))
    if scores.mains:
        blocks.append(score_table(scores, scores.mains, paper=kind == "published"))
    if scores.controls:
        blocks.append(Heading("Controls", 3))
        blocks.append(score_table(scores, scores.controls))
    blocks += [picture] if picture else []
    if kind != "published":
        blocks += [Heading("What these numbers say", 3), Bullets(findings.sentences(scores))]
    apart = findings.task_sentences(scores)
    blocks += [Bullets(apart, folded="Task by task, beyond intervals")] if apart else []
    if len(scores.mains) > 1:
        blocks += [Heading("Tokenizers against each other", 3), Paragraph(_COMPARISON_NOTE)]
        blocks.append(findings.comparison_table(scores))
    if kind == "published" and has_published_mode(scores):
        blocks += [Heading("By the published protocol", 3), Paragraph(_PROTOCOL_NOTE)]
        blocks.append(score_table(scores, scores.tokenizers, mode=PUBLISHED_MODE, paper=True))
    missing = coverage.missing_scores(scores)
    if missing:
        blocks += [Heading("What is missing, and why", 3), Bullets(missing)]
    return blocks


def _codebooks(found: Readings, pictures: Pictures) -> list[Block]:
    names = set_names(found.codebooks)
    if not names:
        return []
    blocks: list[Block] = [Heading("Table 4: use of codes"), Paragraph(_USAGE_NOTE)]
    for name in names:
        blocks += [Heading(SETS.get(name, name), 3), usage_table(found, name)]
    picture = pictures.usage(found)
    blocks += [picture] if picture else []
    table = geometry_table(found)
    if table.rows:
        blocks += [Heading("Distances and distinctiveness of codes", 3)]
        blocks += [Paragraph(_GEOMETRY_NOTE), table]
    return blocks


def _sensitivity(found: Readings, pictures: Pictures) -> list[Block]:
    names = set_names(found.sensitivities)
    if not names:
        return []
    blocks: list[Block] = [Heading("Sensitivity to conformations"), Paragraph(_SENSITIVITY_NOTE)]
    for name in names:
        title = PAIRS.get(name, name)
        blocks += [Heading(title[0].upper() + title[1:], 3), sensitivity_table(found, name)]
    picture = pictures.sensitivity(found)
    return [*blocks, *([picture] if picture else [])]


def _coverage(found: Readings) -> list[Block]:
    table = coverage.coverage_table(found)
    blocks: list[Block] = [Heading("Coverage")]
    if table.rows:
        blocks += [Paragraph(_COVERAGE_NOTE), table]
    folded = coverage.reasons(found)
    blocks += [Bullets(texts, folded=title) for title, texts in folded.items()]
    return blocks if len(blocks) > 1 else []


def _method(found: Readings) -> list[Block]:
    blocks: list[Block] = [Heading("How it was measured"), method.tokenizer_table(found)]
    data: Table = method.data_table(found)
    blocks += [data] if data.rows else []
    said = (
        *method.settings(found),
        *method.projections(found),
        *method.rates(found),
        *method.different_data(found),
    )
    blocks += _bullets(said)
    if found.notes:
        blocks += [Heading("Results that are not shown", 3), Bullets(found.notes)]
    return blocks


def _bullets(texts: Sequence[str]) -> list[Block]:
    return [Bullets(tuple(texts))] if texts else []


def _titled(title: str, scores: ScoreSet, *, alone: bool) -> str:
    """Add what tells the tables of several setups apart."""
    setup = scores.setup
    parts = [f"{setup.labels} labels" if setup.labels else "", setup.options]
    parts.append(f"probe settings {setup.preset}" if setup.preset else "")
    told = ", ".join(part for part in parts if part)
    return title if alone or not told else f"{title} ({told})"
