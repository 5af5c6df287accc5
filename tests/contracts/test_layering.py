"""Does import-linter refuse what the architecture forbids?

Each case copies the packages, adds one import that must not be, and expects the contract by name.
Without this, a contract that matches nothing would pass for ever.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BREAKS = {
    "a lower layer imports a higher one": (
        "provq_protein/geometry/frames.py",
        "import provq_protein.model",
        "Inside provq_protein, imports only point down",
    ),
    "siblings import each other": (
        "provq_protein/geometry/bonds.py",
        "import provq_protein.structure",
        "Inside provq_protein, imports only point down",
    ),
    "a module without a layer": (
        "provq_protein/utils.py",
        '"""Odds and ends."""',
        "Inside provq_protein, imports only point down",
    ),
    "the quantizer core imports another library": (
        "provq_protein/quantize/__init__.py",
        "import numpy",
        "The quantizer core needs torch and nothing else",
    ),
    "provq_protein imports its user": (
        "provq_protein/tokenizer.py",
        "import provq_vision",
        "provq_protein imports neither of its users",
    ),
    "vision imports the tokenizer": (
        "provq_vision/cli/train.py",
        "import provq_protein.tokenizer",
        "provq_vision takes only the quantizer core and the run tools",
    ),
    "the benchmark imports a model": (
        "benchmarks/structtokenbench/cli.py",
        "import provq_protein.model",
        "The benchmark sees tokens, not models",
    ),
}


def copy_sources(repo_root: Path, folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for package in ("provq_protein", "provq_vision", "benchmarks"):
        shutil.copytree(repo_root / package, folder / package, ignore=ignore)
    shutil.copy(repo_root / "pyproject.toml", folder)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # The copy comes first on the path, whether or not the checkout is installed here.
    program = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(folder / 'benchmarks')!r}]; "
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", BREAKS)
def test_a_forbidden_import_is_refused(name: str, repo_root: Path, tmp_path: Path) -> None:
    path, line, contract = BREAKS[name]
    copy_sources(repo_root, tmp_path)
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    shown = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, shown
    assert f"{contract} BROKEN" in shown
    assert "1 broken" in shown


def test_the_sources_as_they_are_pass(repo_root: Path, tmp_path: Path) -> None:
    copy_sources(repo_root, tmp_path)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
