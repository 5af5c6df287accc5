"""What does the page of ``provq-protein report`` show?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from provq_protein import __version__
from provq_protein.reports import charts
from provq_protein.reports.chain_records import ChainRecord
from provq_protein.reports.code_numbers import STRUCTURES, CodeUse, code_places, code_use
from provq_protein.reports.colors import (
    ERROR_LIMIT,
    code_scale,
    color_of_code,
    color_of_share,
    error_scale,
)
from provq_protein.reports.html import asset, embedded, facts, figure, page, table
from provq_protein.reports.molstar_viewer import ViewerFiles
from provq_protein.reports.viewer_data import viewer_data
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.inputs import InputProblem

_BARS, _MARKS = 24, 6
_MOST_POINTS, _MOST_PROFILES = 4000, 200
_NAMES = ("helix", "strand", "coil")


@dataclass(frozen=True)
class ReportInputs:
    """
    What a report is about.

    Parameters
    ----------
    records : sequence of ChainRecord
        At least one chain.
    problems : sequence of InputProblem
        What could not be used.
    command : str
        The command line, for who wants to repeat it.
    structures : int
        How many chains the 3D viewer gets at most.
    """

    records: Sequence[ChainRecord]
    problems: Sequence[InputProblem]
    command: str
    structures: int


def report_page(
    inputs: ReportInputs, tokenizer: StructureTokenizer, viewer: ViewerFiles | None
) -> str:
    """
    Return the page.

    Parameters
    ----------
    inputs : ReportInputs
        Chains and problems.
    tokenizer : StructureTokenizer
        The model.
    viewer : ViewerFiles or None
        The 3D viewer; None leaves it out.

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    records = inputs.records
    known = [record.tokens.resolved for record in records]
    pairs = list(zip(records, known, strict=True))
    ids = [record.tokens.ids[there] for record, there in pairs]
    use = code_use(ids, [one.structure[there] for one, there in pairs], tokenizer.codebook_size)
    colors = color_of_code(code_places(tokenizer.codebook))
    body = [
        "<h1>Tokens of protein structures</h1>",
        _about(inputs, tokenizer, use),
        *_chains(inputs),
        *(_viewer(inputs, colors) if viewer else ()),
        *_usage(use),
        *_by_structure(use),
        *_angles(records, colors, use),
        *_errors(records),
    ]
    styles, scripts = [asset("page.css")], [asset("tables.js")]
    if viewer:
        styles = [viewer.style, *styles]
        scripts = [*scripts, viewer.script, asset("viewer.js")]
    title = f"provq: tokens of {len(records)} chain{'s' if len(records) != 1 else ''}"
    return page(title, body, styles=styles, scripts=scripts, evaluates=viewer is not None)


def _about(inputs: ReportInputs, tokenizer: StructureTokenizer, use: CodeUse) -> str:
    return facts(
        [
            ("model", f"{tokenizer.name} (fingerprint {tokenizer.fingerprint})"),
            ("codes", f"{tokenizer.codebook_size:,}"),
            ("chains", f"{len(inputs.records):,}"),
            ("residues with a token", f"{use.residues:,}"),
            ("provq", __version__),
            ("command", inputs.command),
        ]
    )


def _chains(inputs: ReportInputs) -> Iterator[str]:
    yield '<h2 id="chains">Chains</h2>'
    if any(record.scores is None for record in inputs.records):
        yield (
            "<p class=note>Chains marked <i>tokens only</i> come from token files. Those hold no "
            "coordinates, so that no error can be given: secondary structure, angles and 3D view "
            "are those of the decoded chain.</p>"
        )
    columns = ("chain", "residues", "resolved", "RMSD (Å)", "TM-score", "lDDT-CA")
    rows = []
    for record in inputs.records:
        scores = record.scores
        values: list[object] = ["", "", "tokens only"]
        if scores is not None:
            values = [_score(one) for one in (scores.rmsd, scores.tm_score, scores.lddt_ca)]
        resolved = int(record.tokens.resolved.sum())
        rows.append([record.name, len(record.tokens), resolved, *values])
    yield table(columns, rows, name="chain-table", note="chains and their scores")
    yield (
        "<p>RMSD: of N, CA and C, after superposing the decoded chain without reflection. "
        "TM-score and lDDT-CA: of CA; 1 is best. A click on a heading sorts.</p>"
    )
    if inputs.problems:
        yield '<h3 id="problems">Could not be used</h3>'
        rows = [(one.file, one.chain_id or "", one.reason) for one in inputs.problems]
        yield table(("file", "chain", "reason"), rows, name="problem-table", note="problems")


def _score(value: float) -> object:
    return "n/a" if np.isnan(value) else float(value)


def _viewer(inputs: ReportInputs, colors: Sequence[str]) -> Iterator[str]:
    chosen = inputs.records[: inputs.structures]
    yield '<h2 id="structure">Structure</h2>'
    options = "".join(
        f'<option value="{number}">{escape(record.name)}</option>'
        for number, record in enumerate(chosen)
    )
    yield (
        '<div class="controls" id="viewer-controls"><label>Chain <select id="viewer-chain">'
        f'{options}</select></label><span role="group" aria-label="colour by">'
        '<button type="button" id="by-code" aria-pressed="true">Colour by code</button>'
        '<button type="button" id="by-error" aria-pressed="false">Colour by error</button></span>'
        '<label><input type="checkbox" id="with-decoded"> decoded chain beside it (grey line)'
        "</label></div>"
    )
    scales = (
        f'<span id="code-scale"><i style="background:{code_scale()}"></i> codes, similar ones in '
        f'similar colours</span><span id="error-scale" hidden><i style="background:{error_scale()}'
        f'"></i> 0 to {ERROR_LIMIT:g} Å and more</span>'
    )
    drawing = (
        '<div id="viewer" role="img" aria-label="3D view of the chosen chain">'
        "<noscript><p>The 3D view needs JavaScript; the rest of this page does not.</p></noscript>"
        f'</div><p class="scale">{scales}</p>'
    )
    left_out = [record.name for record in inputs.records[inputs.structures :]]
    note = ""
    if left_out:
        note = (
            f" The first {len(chosen)} of {len(inputs.records)} chains are in this page "
            f"(--structures changes that); left out: {escape(', '.join(left_out))}."
        )
    yield figure(
        drawing,
        "The chain as it was given, or decoded where only tokens were. <b>Code</b>: the colour is "
        "the rank of the code along the direction in which the code vectors differ most, so that "
        "codes of similar vectors look alike. <b>Error</b>: distance of the decoded CA from the "
        f"original, grey where the original is not known. Point at a residue to read both.{note}",
    )
    yield embedded("structures", [viewer_data(record, colors) for record in chosen])


def _usage(use: CodeUse) -> Iterator[str]:
    yield '<h2 id="usage">Use of the codes</h2>'
    size = len(use.counts)
    yield facts(
        [
            ("residues counted", f"{use.residues:,}"),
            ("codes that occur", f"{use.used:,} of {size:,} (utilization {use.utilization:.3f})"),
            ("perplexity", f"{use.perplexity:,.1f} ({use.perplexity / size:.3f} of {size:,})"),
        ]
    )
    few = ""
    if use.residues < 20 * size:
        few = (
            f" {use.residues:,} residues are too few to use {size:,} codes evenly: perplexity and "
            "utilization of small sets are low for that reason alone."
        )
    yield figure(
        charts.rank_frequency(use.counts),
        "Residues with the most frequent code, the second, and so on, both axes logarithmic. "
        "A flat line is even use. Perplexity is the exponential of the entropy of the codes: the "
        f"number of codes that, evenly used, would be as hard to guess.{few}",
    )
    most = max(int(use.counts.max()), 1)
    bars = "".join(
        f'<tr><th scope="row">{code}</th><td class="number">{use.counts[code]:,}</td>'
        f'<td class="bar"><i style="width:{100 * use.counts[code] / most:.1f}%"></i></td></tr>'
        for code in use.most_frequent(_BARS)
    )
    head = '<thead><tr><th>code</th><th class="number">residues</th><th></th></tr></thead>'
    yield figure(
        f'<table class="bars">{head}<tbody>{bars}</tbody></table>',
        f"The {min(_BARS, use.used)} most frequent codes.",
    )


def _by_structure(use: CodeUse) -> Iterator[str]:
    yield '<h2 id="by-structure">Codes by secondary structure</h2>'
    total = use.by_structure.sum(axis=0)
    codes = use.most_frequent(_BARS)
    rows = []
    for code in codes:
        counts = use.by_structure[code]
        shares = counts / max(int(counts.sum()), 1)
        cells = "".join(
            f'<td class="number" style="background:{color_of_share(float(share))}">'
            f"{100 * share:.0f} %</td>"
            for share in shares
        )
        rows.append(f'<tr><th scope="row">{code}</th>{cells}<td class="number">{counts.sum()}</td>')
    head = "".join(f"<th>{name}</th>" for name in ("code", *_NAMES, "residues"))
    often = use.by_structure[use.by_structure.sum(axis=1) >= 10]
    pure = int((often.max(axis=1) >= 0.9 * often.sum(axis=1)).sum()) if len(often) else 0
    shares = ", ".join(
        f"{name} {100 * number / max(int(total.sum()), 1):.0f} %"
        for name, number in zip(_NAMES, total.tolist(), strict=True)
    )
    yield figure(
        f'<table class="shares" aria-label="codes by secondary structure"><thead><tr>{head}</tr>'
        f"</thead><tbody>{'</tr>'.join(rows)}</tr></tbody></table>",
        f"Of the residues with each of the most frequent codes, the share in each secondary "
        f"structure. All residues: {shares}. Of {len(often)} codes with at least 10 residues, "
        f"{pure} have 90 % of them in one of the {len(STRUCTURES)}. Secondary structure is read "
        "from the places of CA (P-SEA, as implemented in biotite).",
    )


def _angles(records: Sequence[ChainRecord], colors: Sequence[str], use: CodeUse) -> Iterator[str]:
    yield '<h2 id="angles">Phi and psi</h2>'
    phi = np.concatenate([record.phi for record in records])
    psi = np.concatenate([record.psi for record in records])
    ids = np.concatenate([record.tokens.ids for record in records])
    there = np.isfinite(phi) & np.isfinite(psi) & (ids >= 0)
    phi, psi, ids = phi[there], psi[there], ids[there]
    if not len(phi):
        yield "<p>No residue has bonded neighbours on both sides.</p>"
        return
    marks = []
    for code in use.most_frequent(_MARKS):
        of_code = ids == code
        if of_code.any():
            marks.append((str(code), _mean_angle(phi[of_code]), _mean_angle(psi[of_code])))
    chosen = np.unique(np.linspace(0, len(phi) - 1, min(len(phi), _MOST_POINTS)).astype(int))
    drawn = "" if len(chosen) == len(phi) else f" ({len(chosen):,} of them, evenly spaced)"
    points = [colors[int(code)] for code in ids[chosen]]
    maps = (
        charts.angle_map(phi, psi, marks=marks)
        + charts.angle_map(phi[chosen], psi[chosen], colors=points)
    )  # fmt: skip
    yield figure(
        f'<div class="pair">{maps}</div>',
        f"Left: squares of 5 degrees, darker with more of the {len(phi):,} residues that have both "
        "angles (logarithmic); dots are the mean directions of the most frequent codes. Right: "
        f"one point per residue{drawn}, in the colour of its code. Codes that stand for a step of "
        "the chain follow the angles; points of one colour lie together then.",
    )


def _mean_angle(angles: np.ndarray) -> float:
    """Mean direction: of 179 and -179 degrees it is 180."""
    turned = np.exp(1j * np.radians(angles)).sum()
    return float(np.degrees(np.angle(turned)))


def _errors(records: Sequence[ChainRecord]) -> Iterator[str]:
    yield '<h2 id="errors">Error along the chain</h2>'
    known = [record for record in records if record.errors is not None]
    if not known:
        yield "<p>Only tokens were given: without the original there is no error.</p>"
        return
    yield (
        "<p>Distance of each decoded CA from the original, in Å, after superposing N, CA and C of "
        "the whole chain; each drawing has its own scale. The line is interrupted at residues "
        "without coordinates.</p>"
    )
    for number, record in enumerate(known[:_MOST_PROFILES]):
        errors = record.errors
        if errors is None or record.scores is None:
            continue
        worst = int(np.nanargmax(errors))
        where = record.shown.residue_ids[worst]
        yield (
            f"<details{' open' if number < 3 else ''}><summary>{escape(record.name)}: median "
            f"{np.nanmedian(errors):.2f} Å, largest {errors[worst]:.2f} Å at residue "
            f"{escape(where)}</summary>"
            f"{charts.error_profile(errors, record.shown.residue_ids, record.name)}</details>"
        )
    if len(known) > _MOST_PROFILES:
        left_out = ", ".join(record.name for record in known[_MOST_PROFILES:])
        yield f"<p>The first {_MOST_PROFILES} chains; not drawn: {escape(left_out)}.</p>"
