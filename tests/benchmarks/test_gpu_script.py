"""Does the script for GPUs train in pieces, and say when it is done?"""

import os
import subprocess
import sys

import pytest

from provq_protein.training.store import save_store


@pytest.fixture
def script(repo_root):
    def call(*arguments, **environment):
        return subprocess.run(
            ["bash", str(repo_root / "benchmarks" / "gpu" / "train.sh"), *map(str, arguments)],
            env={**os.environ, "PYTHON": sys.executable, "ALLOW_CPU": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.slow
def test_pieces_end_with_a_model(script, tiny_store, tmp_path):
    save_store(tmp_path / "chains.h5", tiny_store, provenance="test")
    arguments = ("smoke", tmp_path / "chains.h5", tmp_path / "run")
    first = script(*arguments, "0.000001", "--set", "seed=3")
    assert first.returncode == 3, first.stderr
    assert "stopped at step 1 of 16" in first.stderr
    last = script(*arguments, "--set", "seed=3")
    assert last.returncode == 0, last.stderr
    assert (tmp_path / "run" / "model" / "config.json").is_file()


def test_mistakes_are_told_from_an_unfinished_run(script, tmp_path):
    usage = script("smoke")
    assert usage.returncode == 2
    assert "RECIPE STORE OUTPUT" in usage.stderr
    absent = script("smoke", tmp_path / "absent.h5", tmp_path / "run")
    assert absent.returncode not in (0, 3)
    assert "absent.h5" in absent.stderr
