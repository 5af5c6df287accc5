"""Does the page on complexes show the committed results, and do those add up?"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from provq_protein.tokenizer import StructureTokenizer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "complexes" / "run.py"
RESULTS = sorted((ROOT / "benchmarks" / "complexes" / "results").glob("*.json"))


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def module(name: str):
    return importlib.import_module(f"complexes.{name}")


def test_the_page_and_its_figures_show_the_committed_results() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_results_are_those_of_the_shipped_model_and_add_up(path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["fingerprint"] == StructureTokenizer.from_pretrained().fingerprint
    assert {chain["file"] for chain in results["chains"]} == set(results["files"])
    total = np.zeros(3, dtype=int)
    for chain in results["chains"]:
        by_distance, seeing, by_lag = (
            np.array(chain[key]) for key in ("by_distance", "seeing", "by_lag")
        )
        assert by_distance[:, 0].sum() == chain["residues"]
        np.testing.assert_array_equal(by_distance.sum(axis=0), seeing.sum(axis=0))
        np.testing.assert_array_equal(by_lag.sum(axis=0), seeing[1])
        total += by_distance.sum(axis=0)
    assert sum(one["changed"] for one in results["code_distances"].values()) == total[1]


def test_a_sample_measures_as_committed() -> None:
    committed = json.loads((SCRIPT.parent / "results" / "entries.json").read_text(encoding="utf-8"))
    found = module("measure").measure([ROOT / "data" / "structures" / "4zhl.bcif"], model=None)
    assert found["files"].items() <= committed["files"].items()
    expected = [chain for chain in committed["chains"] if chain["file"] == "4zhl.bcif"]
    assert [chain["by_distance"] for chain in found["chains"]] == [
        chain["by_distance"] for chain in expected
    ]


def test_residues_are_put_behind_the_last_one_that_sees_another_chain() -> None:
    sees = np.zeros(80, dtype=bool)
    sees[[10, 11]] = True
    bins = module("measure")._lags(sees)
    assert bins[:12].tolist() == [0] * 10 + [-1, -1]
    assert [bins[11 + lag] for lag in (1, 5, 6, 20, 21, 50, 51)] == [1, 1, 2, 2, 3, 3, 4]


def test_files_without_a_second_chain_are_counted_and_bad_ones_named(tmp_path) -> None:
    bad = tmp_path / "bad.cif"
    bad.write_text("data_nothing\n")
    single = ROOT / "data" / "structures" / "1a8o.cif"
    found = module("measure").measure([bad, single], model=None)
    assert found["single_chain_files"] == 1
    assert [one.split(":")[0] for one in found["problems"]] == ["bad.cif"]
    assert found["chains"] == []


def test_shares_add_up_the_bins_of_chains() -> None:
    chains = [{"seeing": [[10, 2, 1], [30, 0, 0]]}, {"seeing": [[10, 0, 0], [0, 0, 0]]}]
    first, second = module("shares").shares({"chains": chains}, "seeing")
    assert (first.residues, first.changed) == (20, (0.1, 0.05))
    assert second.changed == (0.0, 0.0)
    assert module("shares").intact({"chains": chains}) == 1
