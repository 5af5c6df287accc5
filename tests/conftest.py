"""Which folders do the tests read: the repository, its samples, an optional real-data folder."""

import os
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Return the folder that holds the checkout."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the real-data folder, or skip: a user's checkout does not have it."""
    folder = Path(os.environ.get("PROVQ_SHARED_DATA", REPO_ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real-data folder at {folder} (set PROVQ_SHARED_DATA to one)")
    return folder


@pytest.fixture(scope="session")
def sample_structures() -> list[Path]:
    """Return the structure files that ship with the repository, sorted by name."""
    folder = REPO_ROOT / "data" / "structures"
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not paths:
        pytest.fail(f"no sample structures in {folder}")
    return paths
