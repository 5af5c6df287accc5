"""Which files make up the site, and where do their links lead there?

Documents link to each other by their places in the repository, so that they can be read on any
site that shows repositories. Here they move: documents of the root get pages beside those of
`docs`, and whatever else they point to is copied.
"""

import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

# Documents outside `docs`, and the pages that they become.
ROOT_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "data/README.md": "sample_structures.md",
    "provq_protein/models/default/README.md": "model_card.md",
}
# The target of a Markdown link or image, without titles; code is left alone by `_outside_code`.
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_COPIED = "repository"


class LinkError(Exception):
    """A document points to something that is not there."""


def stage(repository: Path, target: Path) -> list[str]:
    """
    Write the sources of the site.

    Parameters
    ----------
    repository : Path
        Root of the checkout.
    target : Path
        An empty folder.

    Returns
    -------
    list of str
        Names of the pages, without endings.

    Raises
    ------
    LinkError
        If a document points to something that is not there.
    """
    pages = dict(_pages(repository))
    for source, page in pages.items():
        path = repository / source
        place = target / page
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = _without_header(path.read_text(encoding="utf-8"))
            place.write_text(_relinked(text, source, pages, repository, target), encoding="utf-8")
        else:
            shutil.copyfile(path, place)
    return sorted(page.rsplit(".", 1)[0] for page in pages.values())


def _pages(repository: Path) -> Iterator[tuple[str, str]]:
    """Yield documents and their pages, both relative to their roots."""
    yield from ROOT_PAGES.items()
    for ending in ("md", "ipynb"):
        for path in sorted((repository / "docs").rglob(f"*.{ending}")):
            name = path.relative_to(repository).as_posix()
            yield name, name.removeprefix("docs/")


def _without_header(text: str) -> str:
    """Remove the YAML header of a model card, which is for machines."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, count=1, flags=re.DOTALL)


def _relinked(text: str, source: str, pages: dict[str, str], repository: Path, target: Path) -> str:
    """Point the links of a document to where their targets are on the site."""
    here = posixpath.dirname(pages[source])

    def moved(match: re.Match[str]) -> str:
        before, link, anchor, after = match.group(1), match.group(2), match.group(3), match.group(4)
        if "://" in link or link.startswith("mailto:"):
            return match.group(0)
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        place = _place(name, pages, repository, target)
        if place is None:
            msg = f"{source}: links to {link}, which is not in the repository"
            raise LinkError(msg)
        return f"{before}{posixpath.relpath(place, here or '.')}{anchor or ''}{after}"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in parts)


def _place(name: str, pages: dict[str, str], repository: Path, target: Path) -> str | None:
    """Return where a file of the repository is on the site, copying it if it is not a page."""
    if name in pages:
        return pages[name]
    path = repository / name
    if path.is_dir():
        # A folder is shown by what describes it, or by the list of what is in it.
        readme = f"{name}/README.md"
        return _place(readme, pages, repository, target) or _listing(path, name, target)
    if not path.is_file():
        return None
    inside = name.removeprefix("docs/")
    place = inside if inside != name else f"{_COPIED}/{name}"
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target / place)
    # A Markdown file here would be a page that no menu leads to.
    if path.suffix == ".md":
        renamed = f"{place}.txt"
        (target / place).replace(target / renamed)
        return renamed
    return place


def _listing(path: Path, name: str, target: Path) -> str:
    """Write the names of the files of a folder."""
    place = f"{_COPIED}/{name}.txt"
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    files = sorted(
        found.name for found in path.iterdir() if found.suffix in {".md", ".py", ".toml"}
    )
    (target / place).write_text("\n".join([f"{name}/", *files]) + "\n", encoding="utf-8")
    return place
