"""Do links of the documents lead to the right places once they are pages of a site?"""

import importlib.util
import sys
from pathlib import Path

import pytest


def load(repo_root: Path, name: str):
    spec = importlib.util.spec_from_file_location(
        f"site_{name}", repo_root / "docs" / "site" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def staging(repo_root: Path):
    return load(repo_root, "staging")


@pytest.fixture
def repository(tmp_path: Path, staging) -> Path:
    """Return a small repository with the documents that the site expects."""
    root = tmp_path / "repository"
    for name in staging.ROOT_PAGES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("# A page\n")
    (root / "docs" / "results").mkdir(parents=True)
    (root / "docs" / "inputs.md").write_text("# Inputs\n")
    return root


def staged(staging, repository: Path) -> Path:
    target = repository.parent / "source"
    target.mkdir()
    staging.stage(repository, target)
    return target


def test_links_lead_to_pages_wherever_both_ends_move(staging, repository: Path) -> None:
    (repository / "README.md").write_text("[a](docs/inputs.md#x) [b](ARCHITECTURE.md) [c](#here)\n")
    (repository / "docs" / "results" / "speed.md").write_text(
        "[d](../../README.md) [e](../inputs.md)"
    )
    target = staged(staging, repository)
    assert (target / "index.md").read_text() == "[a](inputs.md#x) [b](architecture.md) [c](#here)\n"
    assert (target / "results" / "speed.md").read_text() == "[d](../index.md) [e](../inputs.md)"


def test_files_that_are_no_pages_are_copied(staging, repository: Path) -> None:
    (repository / "figure.png").write_bytes(b"picture")
    (repository / "code").mkdir()
    (repository / "code" / "one.py").write_text("")
    (repository / "docs" / "inputs.md").write_text("![p](../figure.png) [code](../code)")
    target = staged(staging, repository)
    text = (target / "inputs.md").read_text()
    assert text == "![p](repository/figure.png) [code](repository/code.txt)"
    assert (target / "repository" / "figure.png").read_bytes() == b"picture"
    assert (target / "repository" / "code.txt").read_text() == "code/\none.py\n"


def test_code_and_addresses_are_left_alone(staging, repository: Path) -> None:
    text = "[x](https://example.org/a.md)\n\n```python\ntable[0](missing.md)\n```\n"
    (repository / "docs" / "inputs.md").write_text(text)
    assert (staged(staging, repository) / "inputs.md").read_text() == text


def test_a_dead_link_ends_the_build(staging, repository: Path) -> None:
    (repository / "docs" / "inputs.md").write_text("[gone](gone.md)")
    with pytest.raises(staging.LinkError, match=r"docs/inputs.md: links to gone.md"):
        staged(staging, repository)


def test_the_header_of_a_model_card_is_not_shown(staging, repository: Path) -> None:
    card = repository / "provq_protein" / "models" / "default" / "README.md"
    card.write_text("---\nlicense: apache-2.0\n---\n# Card\n")
    assert (staged(staging, repository) / "model_card.md").read_text() == "# Card\n"


def test_the_menu_names_each_page_once(repo_root: Path) -> None:
    menu = load(repo_root, "menu")
    pages = ["index", "inputs", "results/a", "results/b", "adr/0001-x", "notebooks/first_tokens"]
    text = menu.with_menu("# provq\n", pages, ["reference/provq_protein"])
    for page in [*pages[1:], "reference/provq_protein"]:
        assert text.splitlines().count(page) == 1, page
    assert text.startswith("# provq\n")
    assert "index" not in text.splitlines()


def test_notebooks_are_kept_with_what_they_show(repo_root: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra docs is not installed")
    paths = sorted((repo_root / "docs" / "notebooks").glob("*.ipynb"))
    assert len(paths) >= 3
    for path in paths:
        cells = [one for one in nbformat.read(path, 4).cells if one.cell_type == "code"]
        assert all(cell.execution_count for cell in cells), path.name
        shown = [output for cell in cells for output in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in shown), path.name
        assert all(output.output_type != "error" for output in shown), path.name
