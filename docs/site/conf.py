"""How does Sphinx turn the staged documents into the site?"""

import re
from types import GenericAlias
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

from provq_protein import __version__

project = "provq"
author = "The provq developers"
copyright = "The provq developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx.ext.mathjax",
]
exclude_patterns: list[str] = []

# Documents are written for GitHub's renderer and are read here the same way.
myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4
# Code that is shown is run by the tests, in the order of its page; notebooks are run here.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Autodoc lists members already.
numpydoc_show_class_members = False
default_role = "name"

html_theme = "furo"
html_title = f"provq {version}"
html_static_path: list[str] = []

_SHAPE = re.compile(r"shape=\([^)]*\)")
# Names of classes and dotted names are links. Others in backticks are parameters, of which many
# classes have equal ones.
_LINKED = re.compile(r"[A-Z]\w*[a-z]\w*|[\w.]+\.\w+")


class _NameRole(PyXRefRole):
    """`name` in a docstring: code, and a link where that can only mean one thing."""

    def __call__(self, name: str, rawtext: str, text: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        if _LINKED.fullmatch(text):
            return super().__call__("py:obj", rawtext, f".{text}", *args, **options)
        return [nodes.literal(rawtext, text)], []


def _stars_of_shapes(_app: Sphinx, *about: Any) -> None:  # noqa: ANN401
    """Keep the star of ``shape=(..., *index_shape)`` from starting an emphasis."""
    lines: list[str] = about[-1]
    lines[:] = [_SHAPE.sub(lambda found: found[0].replace("*", "\\*"), one) for one in lines]


def _without_aliases(_app: Sphinx, *about: Any) -> bool | None:  # noqa: ANN401
    """Leave out names of types, which have no text of their own."""
    return True if isinstance(about[2], GenericAlias) else None


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the role and of what is particular to these docstrings."""
    app.add_role("name", _NameRole())
    app.connect("autodoc-process-docstring", _stars_of_shapes, priority=1)
    app.connect("autodoc-skip-member", _without_aliases)
