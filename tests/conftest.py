"""What do the tests share: folders with data, synthetic chains, tiny models?"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from provq_protein.geometry.frames import compose_chain, place_backbone, rotation_from_axes
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.training.config import load_recipe
from provq_protein.training.store import ChainStore, build_store

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option behind `make golden`."""
    told = "rewrite the committed numbers of tests/golden"
    parser.addoption("--update-golden", action="store_true", help=told)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether to rewrite the committed numbers instead of comparing with them."""
    return request.config.getoption("--update-golden")


# The rigid step from one residue to the next in a right-handed helix and in a strand: axes of
# the next frame in this one, then its origin (Angstrom), rounded from real chains.
_HELIX = ((0.37, -0.31, 0.87), (0.92, 0.04, -0.37), (-3.57, 0.99, 0.85))
_STRAND = ((0.28, 0.90, -0.27), (0.96, -0.21, 0.15), (-3.55, -0.98, -0.90))


def random_coords(length: int, seed: int) -> np.ndarray:
    """Return a chain of alternating helices and strands, shape=(length, 3, 3), Angstrom."""
    generator = np.random.default_rng(seed)
    kinds = [(_HELIX, _STRAND)[int(generator.integers(2))] for _ in range(length // 6 + 1)]
    steps = np.array([kinds[i // 6] for i in range(length)]) + generator.normal(
        0, 0.05, (length, 3, 3)
    )
    first, second, shift = torch.from_numpy(steps).float().unbind(1)
    rotations, translations = compose_chain(rotation_from_axes(first, second), shift)
    return place_backbone(rotations, translations).numpy()


@pytest.fixture
def make_coords() -> Callable[[int, int], np.ndarray]:
    """Return `random_coords`."""
    return random_coords


@pytest.fixture(scope="session")
def tiny_store() -> ChainStore:
    """Return a store of eleven chains, three of them for validation, some with gaps."""
    backbones = []
    for seed in range(11):
        coords = random_coords(24 + 5 * seed, seed)
        if seed % 3 == 0:
            coords[7:9, 1] = np.nan
        backbones.append(Backbone.from_arrays(coords, chain_id="A", source=f"chain{seed}"))
    return build_store(backbones, ["train"] * 8 + ["validation"] * 3)


@pytest.fixture(scope="session")
def tiny_model() -> StructureAutoencoder:
    """Return an untrained model of the smoke recipe's size."""
    return StructureAutoencoder.build(load_recipe("smoke").model, seed=3)


@pytest.fixture
def batch_of() -> Callable[[list[np.ndarray]], tuple[torch.Tensor, ...]]:
    """Return a function that pads chains into (coords, resolved, residue_numbers, present)."""

    def pad(chains: list[np.ndarray]) -> tuple[torch.Tensor, ...]:
        longest = max(len(chain) for chain in chains)
        coords = torch.full((len(chains), longest, 3, 3), torch.nan)
        present = torch.zeros(len(chains), longest, dtype=torch.bool)
        for row, chain in enumerate(chains):
            coords[row, : len(chain)] = torch.from_numpy(chain)
            present[row, : len(chain)] = True
        numbers = torch.arange(1, longest + 1).expand(len(chains), -1).contiguous()
        return coords, torch.isfinite(coords).all(-1).all(-1), numbers, present

    return pad
