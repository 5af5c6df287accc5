"""What does the page of ``provq-protein codebook`` show?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from provq_protein import __version__
from provq_protein.reports.charts import trace
from provq_protein.reports.code_numbers import (
    FLANK,
    MOST_FRAGMENTS,
    CodeFragment,
    CodeUse,
    code_places,
    nearest_codes,
)
from provq_protein.reports.code_statistics import CodeStatistics
from provq_protein.reports.colors import color_of_code
from provq_protein.reports.drawn_codes import LENGTH, BreakStep, break_steps, drawn_codes
from provq_protein.reports.html import asset, facts, page, table
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.inputs import InputProblem

_NAMES = ("helix", "strand", "coil")
_CONTROLS = """\
<div class="controls" id="controls" hidden>
<label>Search <input type="search" id="search" placeholder="code, helix, 1a8o, unused ..."></label>
<label>Kind <select id="kind"><option value="">all</option><option value="piece">pieces of chain
</option><option value="break">steps across breaks</option></select></label>
<label>Order <select id="order"><option value="code">by code</option>
<option value="count">by frequency</option><option value="place">by similarity</option></select>
</label><output id="shown" aria-live="polite"></output></div>"""


@dataclass(frozen=True, eq=False)
class _Facts:
    """What the cards are made of."""

    use: CodeUse | None
    fragments: Mapping[int, CodeFragment]
    drawn: npt.NDArray[np.float32]
    breaks: Mapping[int, BreakStep]
    nearest: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
    places: npt.NDArray[np.float64]
    colors: Sequence[str]


def dictionary_page(
    tokenizer: StructureTokenizer,
    statistics: CodeStatistics | None,
    *,
    problems: Sequence[InputProblem] = (),
    command: str = "",
) -> str:
    """
    Return the page: one card per code.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    statistics : CodeStatistics or None
        What is known of its codes; None if nothing is.
    problems : sequence of InputProblem
        What could not be used.
    command : str
        The command line, for who wants to repeat it.

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    places = code_places(tokenizer.codebook)
    known_facts = _Facts(
        use=statistics.use if statistics else None,
        fragments=statistics.fragments if statistics else {},
        drawn=drawn_codes(tokenizer),
        breaks=break_steps(tokenizer),
        nearest=nearest_codes(tokenizer.codebook),
        places=places,
        colors=color_of_code(places),
    )
    body = [
        "<h1>Dictionary of codes</h1>",
        _about(tokenizer, statistics, command),
        *_words(tokenizer, known_facts),
        *_problems(problems),
        _CONTROLS,
        '<ol id="cards">',
        *(_card(code, known_facts) for code in range(tokenizer.codebook_size)),
        "</ol>",
    ]
    styles = [asset("page.css"), asset("dictionary.css")]
    title = f"provq: {tokenizer.codebook_size:,} codes of {tokenizer.name}"
    return page(title, body, styles=styles, scripts=[asset("dictionary.js")])


def _about(tokenizer: StructureTokenizer, known: CodeStatistics | None, command: str) -> str:
    counted = "no structures given: counts, secondary structure and exemplars need FILES"
    if known is not None:
        use, plural = known.use, "s" if known.chains != 1 else ""
        counted = f"{use.residues:,} residues of {known.chains:,} chain{plural}"
        if known.origin is not None:
            counted += f" that the model was trained on ({known.origin.name})"
        counted += (
            f"; {use.used:,} of {len(use.counts):,} codes occur, perplexity {use.perplexity:,.1f}"
        )
    return facts(
        [
            ("model", f"{tokenizer.name} (fingerprint {tokenizer.fingerprint})"),
            ("codes", f"{tokenizer.codebook_size:,}"),
            ("counted in", counted),
            ("provq", __version__),
            ("command", command),
        ]
    )


def _words(tokenizer: StructureTokenizer, known: _Facts) -> Iterator[str]:
    yield (
        f"<p><b>Decoded</b>: what the decoder draws for {LENGTH} residues that all have the code. "
        f"<b>Mean</b>: the mean of the pieces of {2 * FLANK + 1} residues around those that have "
        f"it (the first {MOST_FRAGMENTS} of each code), superposed without reflection, with the "
        "root mean square deviation of the pieces "
        "from it. N, CA and C are joined, dots are CA, the open dot is the first; each drawing is "
        "turned and scaled by itself. <b>Nearest</b>: codes whose vectors are nearest, with "
        "Euclidean distances. <b>Exemplars</b>: the residues whose pieces are most like the "
        "mean. The colour is the one of the reports: similar vectors look alike.</p>"
    )
    if tokenizer.model.course is not None:
        yield (
            "<p>This model chooses ids along the chain: a code stands for the rigid step to the "
            "next residue, and a residue may get a neighbouring code that makes up for what "
            "earlier ones lost. The same place in a chain can therefore have several codes.</p>"
        )
    if known.breaks:
        yield (
            f"<p>Codes from {min(known.breaks)} on are kept for chain breaks: the residue before "
            "a break has one. It has no piece of chain, but says where the chain goes on: how far "
            "the next CA is, and how much the next residue is turned.</p>"
        )


def _problems(problems: Sequence[InputProblem]) -> Iterator[str]:
    if problems:
        yield '<h2 id="problems">Could not be used</h2>'
        rows = [(one.file, one.chain_id or "", one.reason) for one in problems]
        yield table(("file", "chain", "reason"), rows, name="problem-table", note="problems")


def _card(code: int, known: _Facts) -> str:
    step = known.breaks.get(code)
    words = ["break"] if step else []
    parts = [f"<h3>{code}</h3>"]
    count = 0
    if known.use is not None:
        count = int(known.use.counts[code])
        parts.append(_counted(code, known.use, words))
    if step is not None:
        parts.append(
            f"<p>after a break: {step.distance:.1f} Å away, turned by {step.turn:.0f} degrees</p>"
        )
    else:
        parts.append(_drawings(code, known))
    exemplars = known.fragments[code].exemplars if code in known.fragments else ()
    if exemplars and step is None:
        named = ", ".join(f"{chain} {residue}" for chain, residue in exemplars)
        words.append(named.lower())
        parts.append(f"<p>exemplars: {escape(named)}</p>")
    near = ", ".join(
        f'<a href="#c{other}">{other}</a> ({distance:.2f})'
        for other, distance in zip(*(part[code].tolist() for part in known.nearest), strict=True)
    )
    parts.append(f"<p>nearest: {near}</p>")
    return (
        f'<li id="c{code}" style="--c:{known.colors[code]}" data-code="{code}" '
        f'data-count="{count}" data-place="{known.places[code]:.5f}" '
        f'data-kind="{"break" if step else "piece"}" data-text="{escape(" ".join(words))}">'
        f"{''.join(parts)}</li>"
    )


def _counted(code: int, use: CodeUse, words: list[str]) -> str:
    count = int(use.counts[code])
    if not count:
        words.append("unused")
        return "<p>unused here</p>"
    shares = use.by_structure[code] / count
    words.append(_NAMES[int(shares.argmax())])
    told = ", ".join(
        f"{name} {100 * share:.0f} %"
        for name, share in zip(_NAMES, shares.tolist(), strict=True)
        if share > 0
    )
    often = 100 * count / use.residues
    return f"<p>{count:,} residue{'s' if count != 1 else ''} ({often:.2g} %); {told}</p>"


def _drawings(code: int, known: _Facts) -> str:
    drawings = [("decoded", known.drawn[code].astype(np.float64))]
    if code in known.fragments:
        mean = known.fragments[code]
        drawings.append((f"mean of {mean.used}, {mean.spread:.2f} Å", mean.coords))
    figures = "".join(
        f"<figure>{trace(coords)}<figcaption>{name}</figcaption></figure>"
        for name, coords in drawings
    )
    return f'<div class="draw">{figures}</div>'
