"""How do the tests of this folder meet the Hub without a network?"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.training.config import load_recipe

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def hub() -> ModuleType:
    """Return the module with the stand-ins of the Hub, for tests that need the package."""
    if find_spec("huggingface_hub") is None:
        pytest.skip("repositories of the Hub need the extra 'hub'")
    return import_module("hub_stand_in")


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[Path]:
    """Return two folders with untrained models."""
    made = tmp_path_factory.mktemp("models")
    for seed in (3, 4):
        model = StructureAutoencoder.build(load_recipe("smoke").model, seed=seed)
        model.save(made / f"seed{seed}", training={"command": f"none | {seed}", "steps": 0})
    return [made / "seed3", made / "seed4"]


@pytest.fixture
def cache(hub, models, tmp_path) -> Path:
    """Return a cache with someone/tiny: one model on the main branch, another at v2."""
    for folder, commit, ref in ((models[0], "1" * 40, "main"), (models[1], "2" * 40, "v2")):
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        hub.add_to_cache(tmp_path / "home" / "hub", "someone/tiny", files, commit=commit, ref=ref)
    return tmp_path / "home" / "hub"


@pytest.fixture
def served(hub) -> Iterator[tuple]:
    """Yield a Hub without repositories that answers on this machine, and its address."""
    stand_in = hub.StandIn()
    with hub.serving(stand_in) as address:
        yield stand_in, address


@pytest.fixture
def python(hub, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python with settings of the Hub, which are read once."""

    def call(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
        ours = ("HF_", "HUGGING", "TRANSFORMERS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment = {
            **kept,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            # No proxy between this machine and itself.
            "NO_PROXY": "127.0.0.1",
            **settings,
        }
        return subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return call
