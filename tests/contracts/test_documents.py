"""Are the documents complete, and do their links and field tables match the repository?"""

import re
from pathlib import Path

import pytest

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")


def documents(repo_root: Path) -> list[Path]:
    return sorted(path for pattern in DOCUMENTS for path in repo_root.glob(pattern))


def test_relative_links_lead_somewhere(repo_root: Path) -> None:
    dead = [
        f"{path.relative_to(repo_root)} -> {target}"
        for path in documents(repo_root)
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert dead == []


def test_every_decision_is_listed_in_the_architecture(repo_root: Path) -> None:
    text = (repo_root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    records = sorted((repo_root / "docs" / "adr").glob("*.md"))
    assert records
    assert [path.name for path in records if f"(docs/adr/{path.name})" not in text] == []


def test_decisions_are_numbered_without_gaps(repo_root: Path) -> None:
    records = sorted((repo_root / "docs" / "adr").glob("*.md"))
    numbers = [int(path.name[:4]) for path in records]
    assert numbers == list(range(1, len(numbers) + 1))
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in records]
    assert all(
        title.startswith(f"# {number:04d}: ") for number, title in zip(numbers, titles, strict=True)
    )


@pytest.fixture(scope="module")
def formats(repo_root: Path) -> str:
    return (repo_root / "docs" / "formats.md").read_text(encoding="utf-8")


def fields(text: str, heading: str) -> list[str]:
    """Return the first column of the tables below a heading."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(\w+)`", section, re.MULTILINE)


def test_the_token_file_fields_are_those_of_the_code(formats: str) -> None:
    from provq_protein.tokens.table import COLUMNS, FORMAT_NAME, FORMAT_VERSION

    assert set(fields(formats, "Token files: npz and HDF5")) == {
        "format",
        "format_version",
        *COLUMNS,
    }
    assert f"`{FORMAT_NAME}`" in formats
    assert f"format version {FORMAT_VERSION}" in formats


def test_the_optional_token_fields_are_those_of_the_code(formats: str) -> None:
    from provq_protein.tokens.table import CONTEXT_VERSION, OPTIONAL_COLUMNS

    assert fields(formats, "Token files: what some hold besides") == list(OPTIONAL_COLUMNS)
    assert f"version {CONTEXT_VERSION}, which has one more field" in " ".join(formats.split())


def test_the_json_fields_are_those_of_the_code(formats: str) -> None:
    import json

    import numpy as np

    from provq_protein.tokens.jsonl import to_json_line
    from provq_protein.tokens.sequence import TokenSequence

    one = TokenSequence(
        ids=np.array([3], dtype=np.int32),
        resolved=np.array([True]),
        sequence="A",
        residue_names=("ALA",),
        author_numbers=np.array([1], dtype=np.int32),
        insertion_codes=("",),
        label_numbers=np.array([1], dtype=np.int32),
        chain_id="A",
        label_chain_id="A",
        source="x.cif",
        model=1,
        fingerprint="0" * 16,
        codebook_size=8,
    )
    written = json.loads(to_json_line(one))
    assert fields(formats, "Token files: JSON lines") == list(written)


def test_the_chain_store_fields_are_those_of_the_code(formats: str) -> None:
    from provq_protein.structure import Backbone
    from provq_protein.training.store import build_store, save_store

    h5py = pytest.importorskip("h5py", reason="the chain store needs the extra provq[train]")
    import tempfile

    import numpy as np

    backbone = Backbone.from_arrays(np.zeros((3, 3, 3), dtype=np.float32), source="x")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        save_store(path, build_store([backbone], ["train"]), provenance="test")
        with h5py.File(path) as file:
            written = {*file, *file.attrs}
    assert set(fields(formats, "Chain store")) == written


def test_the_array_import_names_what_the_code_requires(formats: str) -> None:
    from provq_protein.training.array_import import _REQUIRED

    documented = fields(formats, "Array import")
    assert set(_REQUIRED) <= set(documented)
