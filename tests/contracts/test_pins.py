"""Do the places that repeat a version agree?"""

import re
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def project(repo_root: Path) -> dict:
    return tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_pre_commit_uses_the_tools_of_the_dev_extra(project: dict, repo_root: Path) -> None:
    text = (repo_root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r'"([\w-]+==[\w.]+)"', text))
    assert used
    assert used <= set(project["optional-dependencies"]["dev"])


def test_development_tools_are_pinned_exactly(project: dict) -> None:
    loose = [tool for tool in project["optional-dependencies"]["dev"] if "==" not in tool]
    assert loose == []


def test_the_makefile_installs_a_torch_that_the_package_accepts(
    project: dict, repo_root: Path
) -> None:
    from packaging.requirements import Requirement

    makefile = (repo_root / "Makefile").read_text(encoding="utf-8")
    pinned = re.search(r"^TORCH\s*\?=\s*torch==(\S+)$", makefile, re.MULTILINE)
    assert pinned
    accepted = next(
        requirement.specifier
        for text in project["dependencies"]
        if (requirement := Requirement(text)).name == "torch"
    )
    assert accepted.contains(pinned.group(1))


def test_the_citation_has_the_version_of_the_package(project: dict, repo_root: Path) -> None:
    text = (repo_root / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", text, re.MULTILINE).group(1) == project["version"]


def test_every_extra_that_the_code_names_exists(project: dict, repo_root: Path) -> None:
    named = {
        extra
        for path in (repo_root / "provq_protein").rglob("*.py")
        for extra in re.findall(r'extra="(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(project["optional-dependencies"])
