"""How do results become pages?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError
from structtokenbench.report.document import document
from structtokenbench.report.html import to_html
from structtokenbench.report.markdown import to_markdown
from structtokenbench.report.pictures import Pictures
from structtokenbench.report.reading import read

_SUFFIXES = (".md", ".html")
_TITLE = "StructTokenBench"


def write_report(
    results: Sequence[Mapping[str, Any]], out: Path, *, title: str = _TITLE, figures: bool = True
) -> list[Path]:
    """
    Write results as Markdown, as one HTML file, and as figures beside them.

    Parameters
    ----------
    results : sequence of mapping
        Lines of a results file (`results.read_results`), of any number of tokenizers.
    out : Path
        The pages without suffix; one of ``.md`` or ``.html`` is ignored. Its folder is made.
    title : str, optional
        Of the pages.
    figures : bool, optional
        Whether figures are drawn.

    Returns
    -------
    list of Path
        What was written: ``<out>.md``, ``<out>.html``, and SVG and PNG files of each figure, such
        as ``<out>_tasks.svg``.

    Raises
    ------
    ConfigError
        If there is no result that could be shown.
    MissingExtraError
        If figures are asked for and matplotlib is not installed.

    Notes
    -----
    A result that cannot be read is left out, and named at the end of the report.
    """
    found = read(results)
    if not found.tokenizers:
        msg = (
            f"report: none of {len(results)} results can be shown; measure some with "
            "structtokenbench run"
        )
        raise ConfigError(msg)
    stem = out.name.removesuffix(out.suffix) if out.suffix in _SUFFIXES else out.name
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(out.parent, stem, enabled=figures)
    blocks = document(found, title, pictures)
    pages = {
        out.with_name(f"{stem}.md"): to_markdown(blocks),
        out.with_name(f"{stem}.html"): to_html(blocks, pictures.svg(), title=title),
    }
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return [*pages, *pictures.paths]
