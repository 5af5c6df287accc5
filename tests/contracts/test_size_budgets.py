"""Do modules and functions stay small enough to be read at once?"""

import ast
from pathlib import Path

import pytest

PACKAGES = ("provq_protein", "provq_vision", "benchmarks")
MODULE_LINES = 400
FUNCTION_LINES = 60


def modules(repo_root: Path) -> list[Path]:
    return sorted(path for package in PACKAGES for path in (repo_root / package).rglob("*.py"))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def too_long(source: str) -> list[str]:
    """Return the functions of a module that exceed the budget."""
    return [
        f"{node.name} ({body_lines(node)} lines)"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > FUNCTION_LINES
    ]


def test_modules_have_at_most_400_lines(repo_root: Path) -> None:
    found = modules(repo_root)
    assert found
    lengths = {
        str(path.relative_to(repo_root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in found
    }
    assert {name: count for name, count in lengths.items() if count > MODULE_LINES} == {}


def test_functions_have_at_most_60_lines_besides_their_docstring(repo_root: Path) -> None:
    offenders = {
        str(path.relative_to(repo_root)): names
        for path in modules(repo_root)
        if (names := too_long(path.read_text(encoding="utf-8")))
    }
    assert offenders == {}


@pytest.mark.parametrize(("statements", "expected"), [(59, []), (60, ["f (61 lines)"])])
def test_the_budget_counts_code_and_not_the_docstring(statements: int, expected: list[str]) -> None:
    docstring = '    """\n' + "    Long.\n" * 50 + '    """\n'
    source = "def f():\n" + docstring + "    pass\n" * statements
    assert too_long(source) == expected
