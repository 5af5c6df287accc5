"""What are the pages of the reference, made from docstrings and parsers?"""

import argparse
import ast
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

# Packages with a page each: what people call, top down. Modules without public classes or
# functions of their own are left out.
PACKAGES = {
    "provq_protein": "Structures to tokens and back",
    "provq_protein.vocabulary": "Vocabularies and batches for language models",
    "provq_protein.interop": "Objects of other libraries",
    "provq_protein.evaluation": "Measuring",
    "provq_protein.quantize": "Quantizers and the curriculum",
    "provq_protein.model": "Networks",
    "provq_protein.tokens": "Token files",
    "provq_protein.export": "Exports",
    "provq_protein.structure": "Structure files",
    "provq_protein.geometry": "Geometry",
    "provq_vision": "Images to tokens and back",
    "structtokenbench": "The downstream benchmark",
}
# Pages that list their public names only; the modules behind them are for contributors.
_BY_NAME = {"provq_protein"}
_SHALLOW = {"provq_protein", "provq_vision", "structtokenbench"}


def write_reference(repository: Path, target: Path) -> list[str]:
    """
    Write a page for each package and one for the command lines.

    Parameters
    ----------
    repository : Path
        Root of the checkout.
    target : Path
        Folder of the staged documents.

    Returns
    -------
    list of str
        Names of the pages, without endings, in the order in which they should be read.
    """
    folder = target / "reference"
    folder.mkdir()
    (folder / "command_lines.md").write_text(_command_lines(), encoding="utf-8")
    names = ["reference/command_lines"]
    for package, title in PACKAGES.items():
        page = folder / f"{package}.rst"
        page.write_text(_package_page(repository, package, title), encoding="utf-8")
        names.append(f"reference/{package}")
    return names


def _package_page(repository: Path, package: str, title: str) -> str:
    heading = f"{package}: {title}"
    lines = [heading, "=" * len(heading), ""]
    if package in _BY_NAME:
        for name in import_module(package).__all__:
            kind = "autoexception" if name.endswith("Error") else "autoclass"
            kind = "autofunction" if name.islower() else kind
            lines += [f".. {kind}:: {package}.{name}", *_unless_elsewhere(package, name), ""]
        return "\n".join(lines)
    for module in _modules(repository, package):
        lines += [module, "-" * len(module), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)


def _unless_elsewhere(package: str, name: str) -> list[str]:
    """Leave links to the page of the module that defines a name, if it has one."""
    home = getattr(import_module(package), name).__module__
    documented = any(home.startswith(f"{other}.") for other in PACKAGES if other not in _BY_NAME)
    return ["   :no-index:"] if documented else []


def _modules(repository: Path, package: str) -> Iterator[str]:
    """Yield the modules of a package that define something public."""
    root = (
        repository if (repository / package.split(".")[0]).is_dir() else repository / "benchmarks"
    )
    folder = root / package.replace(".", "/")
    found = folder.glob("*.py") if package in _SHALLOW else folder.rglob("*.py")
    for path in sorted(found):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = any(
            isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
            for node in tree.body
        )
        if public and path.stem not in {"__init__", "__main__"}:
            yield path.relative_to(root).with_suffix("").as_posix().replace("/", ".")


def _command_lines() -> str:
    """Return what ``--help`` of every command says."""
    from provq_protein.cli import build_parser as protein
    from provq_vision.cli import build_parser as vision
    from structtokenbench.cli import build_parser as benchmark

    os.environ["COLUMNS"] = "100"
    parts = ["# Command lines", ""]
    for parser in (protein(), vision(), benchmark()):
        parts += [f"## {parser.prog}", "", "```text", parser.format_help().rstrip(), "```", ""]
        for command in _subcommands(parser):
            text = command.format_help().rstrip()
            parts += [f"### {command.prog}", "", "```text", text, "```", ""]
    return "\n".join(parts)


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()
