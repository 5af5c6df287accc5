"""Does the comparison of quantizers measure what its page says, and is the page up to date?"""

import importlib
import json
import sys

import pytest
import torch

from provq_protein.quantize import METHODS


@pytest.fixture(scope="module")
def comparison(repo_root):
    sys.path.append(str(repo_root / "benchmarks"))
    yield importlib.import_module("quantizers.compare")
    sys.path.remove(str(repo_root / "benchmarks"))


def latents(count, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centers = 3.0 * torch.randn(12, 4, generator=torch.Generator().manual_seed(9))
    chosen = torch.randint(12, (count,), generator=generator)
    return centers[chosen] + 0.1 * torch.randn(count, 4, generator=generator)


def test_the_readout_undoes_what_a_decoder_could_undo(comparison):
    values = latents(200)
    turned = values @ torch.randn(4, 4, generator=torch.Generator().manual_seed(1)) + 5.0
    readout = comparison.affine_readout(turned, values)
    again = torch.cat([turned.double(), torch.ones(200, 1, dtype=torch.float64)], dim=1) @ readout
    assert comparison.relative_distortion(values, again) < 1e-10
    assert comparison.relative_distortion(values, values.mean(dim=0).expand_as(values)) == (
        pytest.approx(1.0)
    )


@pytest.mark.parametrize("name", ["vanilla+provq", "ema+warmup", "fsq", "rvq+provq"])
def test_a_preset_is_trained_chosen_and_measured(comparison, name, monkeypatch):
    monkeypatch.setattr(comparison, "LEARNING_RATES", (1e-4, 1e-2))
    entry = comparison.fitted(
        name, latents(900), latents(300, seed=2), size=16, steps=30, batch=128, seeds=2
    )
    grid = entry["held_back_distortion"]
    assert entry["learning_rate"] == float(min(grid, key=grid.__getitem__))
    assert len(entry["runs"]) == 2
    for run in entry["runs"]:
        assert run["bits"] == (8 if name.startswith("rvq") else 4)
        assert 0.0 < run["utilization"] <= 1.0
        # A readout cannot make it worse than knowing the mean.
        assert 0.0 <= run["distortion"] < 1.01
    if "+" in name:
        # Twelve clusters, sixteen codes that start from k-means.
        assert max(run["distortion"] for run in entry["runs"]) < 0.05


def test_training_is_a_function_of_its_seed(comparison):
    settings = {"size": 8, "steps": 20, "batch": 64, "rate": 1e-2}
    found = [
        comparison.train("diveq+soft", latents(300), seed=seed, **settings) for seed in (0, 0, 1)
    ]
    codes = [each.codebook.codes().detach() for each in found]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_the_page_is_that_of_the_committed_results(comparison, repo_root):
    report = importlib.import_module("quantizers.comparison_report")
    results = json.loads(comparison.RESULTS.read_text(encoding="utf-8"))
    committed = (repo_root / "docs" / "results" / report.PAGE).read_text(encoding="utf-8")
    assert report.page(results) == committed
    digest = report.digest_of(results["presets"])
    for suffix in (".svg", ".png"):
        figure = (repo_root / "docs" / "results" / report.FIGURE).with_suffix(suffix)
        assert digest.encode() in figure.read_bytes()


def test_the_committed_results_hold_every_preset(comparison):
    results = json.loads(comparison.RESULTS.read_text(encoding="utf-8"))
    expected = {f"{method}{part}" for method in METHODS for part in comparison.CURRICULA}
    assert set(results["presets"]) == expected | {"k-means"}
    for name, entry in results["presets"].items():
        assert len(entry["runs"]) == len(results["config"]["seeds"]), name
