"""Is TopoDisc the experiment it says it is, and do its report and figures show its results?"""

import importlib
import json
import shutil
import sys

import pytest
import torch
from torch import nn

from provq_protein.errors import ConfigError
from provq_protein.quantize import Codebook, ProgressiveQuantizer, ProgressiveSchedule, kmeans


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, installed or not."""
    sys.path.append(str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def module():
    return lambda name: importlib.import_module(f"topodisc.{name}")


@pytest.fixture(scope="module")
def small(module):
    """Return settings of a training that takes moments."""
    return module("settings").Settings(
        disk_points=40, triangle_points=27, codes=8, hidden=16, epochs=5, batch_size=24
    )


@pytest.fixture(scope="module")
def committed(module, repo_root):
    folder = repo_root / "benchmarks" / "topodisc" / "results"
    return module("results").load_results(folder / "topodisc.json")


# ------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize(("density", "inner"), [("uniform", 0.25), ("dense", 0.5)])
def test_the_disk_has_its_points_where_the_density_says(module, density, inner):
    generator = torch.Generator().manual_seed(0)
    points = module("shapes").disk(20_000, density=density, generator=generator)
    radius = points.norm(dim=1)
    assert points.shape == (20_000, 2)
    assert radius.max() <= 1.0
    assert points.mean(dim=0).abs().max() < 0.02
    # The share of points within half the radius.
    assert float((radius < 0.5).float().mean()) == pytest.approx(inner, abs=0.02)


def test_the_triangle_is_a_closed_evenly_spaced_boundary(module):
    points = module("shapes").triangle(276, radius=1.9).double()
    normals = torch.tensor([[0.0, -1.0], [3**0.5 / 2, 0.5], [-(3**0.5) / 2, 0.5]]).double()
    # The boundary is where the largest distance from the center along a normal is the inradius.
    assert (points @ normals.T).amax(dim=1).allclose(torch.tensor(0.95).double(), atol=1e-6)
    gaps = (points.roll(-1, 0) - points).norm(dim=1)
    assert gaps.allclose(torch.tensor(3 * 1.9 * 3**0.5 / 276).double(), atol=1e-5)
    assert points[0].tolist() == pytest.approx([0.0, 1.9], abs=1e-6)


def test_the_paper_counts_are_the_default(module):
    settings = module("settings").Settings()
    training = module("training").Training(module("settings").ROWS["vanilla"], settings, [0, 1])
    assert training.points.shape == (2, 400 + 275, 2)
    assert bool((training.points[:, :400].norm(dim=2) <= 1.0).all())
    assert training.points[0, 400:].equal(training.points[1, 400:])
    assert not training.points[0, :400].equal(training.points[1, :400])


# -------------------------------------------------------------------------------------------- rows


def test_every_row_ends_hard(module):
    settings = module("settings").Settings()
    last = settings.epochs * settings.steps_per_epoch - 1
    for row in module("settings").ROWS.values():
        schedule = row.schedule(settings)
        assert schedule.stage(last) == "hard"
        assert (schedule.alpha(last), schedule.omega(last)) == (0.0, 1.0)


def test_the_stages_of_provq_are_a_hundred_epochs_each(module):
    settings = module("settings").Settings()
    schedule = module("settings").ROWS["provq"].schedule(settings)
    assert (schedule.warmup_steps, schedule.transition_steps) == (1100, 1100)


def test_a_training_too_short_for_its_stages_is_refused(module):
    settings = module("settings")
    row = settings.Row(title="x", warmup=0.5, transition=0.5, kmeans=False)
    with pytest.raises(ConfigError, match="none is left for hard quantization"):
        row.schedule(settings.Settings())


def test_the_warm_up_does_not_quantize(module, small):
    training = module("training").Training(module("settings").ROWS["provq"], small, [0, 1])
    before = training.quantizer.codes().clone()
    chosen = torch.arange(16).expand(2, -1)
    points = training.points[:, :16]
    with torch.no_grad():
        plain = training.decoder(training.encoder(points))
    reconstruction, vq_loss = training.step(chosen)
    assert vq_loss == 0.0
    expected = (plain - points).square().mean(dim=(1, 2)).sum()
    assert reconstruction == pytest.approx(float(expected), rel=1e-6)
    assert training.quantizer.codes().equal(before)


def test_seeding_puts_codes_on_centroids_once_and_starts_their_moments_anew(module, small):
    training = module("training").Training(module("settings").ROWS["provq"], small, [3])
    training.epoch()
    (table,) = training.quantizer.parameters()
    assert table not in training.optimizer.state
    unseeded = training.quantizer.codes().clone()
    training.epoch()
    assert not training.quantizer.codes().allclose(unseeded, atol=0.05)
    assert int(training.optimizer.state[table]["step"]) == small.steps_per_epoch


# --------------------------------------------------------------------------------- seeds at once


@pytest.mark.parametrize("name", ["vanilla", "soft_kmeans", "provq"])
def test_seeds_at_once_are_the_seeds_one_by_one(module, small, name):
    training, row = module("training"), module("settings").ROWS[name]
    together = training.Training(row, small, [4, 0, 7]).run()
    for place, seed in enumerate([4, 0, 7]):
        alone = training.Training(row, small, [seed]).run()
        for moment, snapshot in alone.snapshots.items():
            other = together.snapshots[moment]
            torch.testing.assert_close(
                other.latents[place], snapshot.latents[0], atol=1e-4, rtol=1e-3
            )
            torch.testing.assert_close(other.codes[place], snapshot.codes[0], atol=1e-4, rtol=1e-3)
        for part in ("disk_mse", "triangle_mse", "total_mse", "codes_used"):
            torch.testing.assert_close(
                getattr(together, part)[place], getattr(alone, part)[0], atol=1e-5, rtol=1e-3
            )


def plain_run(module, small, row, points, start):
    """Train one seed the ordinary way: torch layers and a quantizer of two-dimensional latents."""
    encoder, decoder = copied(start.encoder), copied(start.decoder)
    quantizer = ProgressiveQuantizer(Codebook(small.codes, 2), row.schedule(small))
    quantizer.codebook.seed(start.quantizer.codes()[0])
    modules = nn.ModuleList([encoder, decoder, quantizer])
    optimizer = torch.optim.Adam(modules.parameters(), lr=small.learning_rate)
    batches, seeding = (start._generators[purpose][0] for purpose in ("batches", "kmeans"))
    step = 0
    for _ in range(small.epochs):
        order = torch.randperm(small.points, generator=batches)
        for chosen in order.split(small.batch_size):
            if row.kmeans and step == quantizer.schedule.warmup_steps:
                sample = encoder(points).detach()
                quantizer.codebook.seed(kmeans(sample, small.codes, generator=seeding))
            quantized = quantizer(encoder(points[chosen]), step=step)
            loss = nn.functional.mse_loss(decoder(quantized.latents), points[chosen])
            optimizer.zero_grad()
            (loss + quantizer.vq_loss(quantized)).backward()
            optimizer.step()
            step += 1
    latents = quantizer.eval()(encoder(points)).latents
    squared = (decoder(latents) - points).square().detach()
    return squared[: small.disk_points].mean(), squared[small.disk_points :].mean()


def copied(stacked):
    layers = []
    for weight, bias in zip(stacked.weights, stacked.biases, strict=True):
        layer = nn.Linear(*weight.shape[1:])
        with torch.no_grad():
            layer.weight.copy_(weight[0].T)
            layer.bias.copy_(bias[0, 0])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("name", ["soft", "provq"])
def test_a_stacked_run_is_an_ordinary_training(module, small, name):
    training, row = module("training"), module("settings").ROWS[name]
    stacked = training.Training(row, small, [5, 2]).run()
    start = training.Training(row, small, [2])
    disk, triangle = plain_run(module, small, row, start.points[0], start)
    assert float(stacked.disk_mse[1]) == pytest.approx(float(disk), rel=1e-3)
    assert float(stacked.triangle_mse[1]) == pytest.approx(float(triangle), rel=1e-3)


@pytest.mark.parametrize("step", [0, 4, 7, 12])
def test_a_stacked_quantizer_is_one_quantizer_per_run(module, step):
    schedule = ProgressiveSchedule(
        warmup_steps=2, transition_steps=8, shape="cosine", initial_coupling=0.5
    )
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(3, 8, 2, generator=generator)
    latents = torch.randn(3, 20, 2, generator=generator, requires_grad=True)
    stacked = module("stack").StackedQuantizer(codes, schedule, commitment_weight=0.25)
    soft, loss, indices = stacked(latents, step=step)
    (soft.square().sum() + loss).backward()
    (table,) = stacked.parameters()
    losses = []
    for run in range(3):
        alone = ProgressiveQuantizer(Codebook(8, 2), schedule)
        alone.codebook.seed(codes[run])
        own = latents[run].detach().requires_grad_()
        expected = alone(own, step=step)
        losses.append(alone.vq_loss(expected))
        (expected.latents.square().sum() + losses[-1]).backward()
        assert indices[run].equal(expected.indices)
        torch.testing.assert_close(soft[run], expected.latents)
        torch.testing.assert_close(latents.grad[run], own.grad)
        if step >= 2:
            gradient = table.grad.unflatten(0, (3, 8))[run]
            torch.testing.assert_close(gradient[:, :2], alone.codebook.table.grad)
            assert not gradient[:, 2].any()
    torch.testing.assert_close(loss, torch.stack(losses).sum())


def test_latents_that_would_get_codes_of_another_run_are_refused(module, small):
    training = module("training").Training(module("settings").ROWS["vanilla"], small, [0, 1])
    far = torch.zeros(2, 3, 2)
    far[0, 0, 0] = 1000.0
    training.quantizer.place(torch.stack([torch.zeros(8, 2), torch.full((8, 2), 900.0)]))
    with pytest.raises(RuntimeError, match="away from the codes of their run"):
        training.quantizer(far, step=0)


def test_the_final_error_is_that_of_hard_quantization(module, small):
    training = module("training").Training(module("settings").ROWS["soft"], small, [0])
    found = training.outcome({})
    with torch.no_grad():
        latents = training.encoder(training.points)[0]
        codes = training.quantizer.codes()[0]
        indices = torch.cdist(latents, codes).argmin(dim=1)
        squared = (training.decoder(codes[indices][None])[0] - training.points[0]).square()
    assert float(found.total_mse[0]) == pytest.approx(float(squared.mean()), rel=1e-5)
    assert int(found.codes_used[0]) == len(set(indices.tolist()))
    assert training.quantizer.training


# ----------------------------------------------------------------------------- results and report


@pytest.fixture(scope="module")
def written(module, tmp_path_factory):
    """Return a folder with the results, figures and report of a short run of the program."""
    pytest.importorskip("matplotlib", reason="the figures need the extra 'plot'")
    folder = tmp_path_factory.mktemp("topodisc")
    assert module("run").main([*arguments(folder), "--seeds=2", "--epochs=5", "--jobs=1"]) == 0
    return folder


def arguments(folder):
    return [f"--output-folder={folder}", f"--report={folder / 'report.md'}"]


def test_what_was_just_written_is_current(module, written):
    assert module("run").main([*arguments(written), "--check"]) == 0


def test_results_survive_the_file(module, written):
    results = module("results").load_results(written / "topodisc.json")
    assert list(results["rows"]) == list(module("settings").ROWS)
    assert {len(row["disk_mse"]) for row in results["rows"].values()} == {2}
    assert list(results["snapshots"]["provq"]) == ["0", "3", "5"]
    assert len(results["snapshots"]["provq"]["3"]["latents"]["x"]) == 675


def test_changed_numbers_make_report_and_figures_stale(module, written, tmp_path, capsys):
    folder = shutil.copytree(written, tmp_path / "copy")
    results = json.loads((folder / "topodisc.json").read_text())
    results["rows"]["provq"]["disk_mse"][0] += 0.5
    (folder / "topodisc.json").write_text(json.dumps(results))
    assert module("run").main([*arguments(folder), "--check"]) == 1
    assert capsys.readouterr().err.count("does not show the current results") == 5


def test_an_edited_report_is_stale(module, written, tmp_path, capsys):
    folder = shutil.copytree(written, tmp_path / "copy")
    with (folder / "report.md").open("a") as file:
        file.write("an opinion\n")
    assert module("run").main([*arguments(folder), "--check"]) == 1
    assert "report.md: does not show" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no results file"),
        ("[]", "is no results file"),
        ('{"format": "x"}', "provq-topodisc"),
    ],
)
def test_another_file_is_refused(module, tmp_path, capsys, text, message):
    (tmp_path / "topodisc.json").write_text(text)
    assert module("run").main([*arguments(tmp_path), "--check"]) == 2
    assert message in capsys.readouterr().err


def test_nothing_to_train_is_refused(module, tmp_path, capsys):
    assert module("run").main([*arguments(tmp_path), "--seeds=0"]) == 2
    assert "--seeds must be 1 or more" in capsys.readouterr().err


def test_the_improvement_is_paired_by_seed(module):
    results = {
        "seeds": [10, 11, 12],
        "rows": {
            "vanilla": {"triangle_mse": [1.0, 2.0, 4.0]},
            "provq": {"triangle_mse": [0.5, 2.2, 3.0]},
        },
    }
    found = module("results").improvements(results, "provq", "triangle")
    assert found == pytest.approx([50.0, -10.0, 25.0])
    assert module("results").median_seed(results) == 12


# ------------------------------------------------------------------------- the committed results


def test_the_committed_report_and_figures_show_the_committed_results(module):
    assert module("run").main(["--check"]) == 0


def test_the_committed_results_are_of_the_default_settings(module, committed):
    assert module("settings").Settings(**committed["settings"]) == module("settings").Settings()
    assert len(committed["seeds"]) >= 8
    for name, row in module("settings").ROWS.items():
        stages = (
            committed["rows"][name]["warmup_epochs"],
            committed["rows"][name]["transition_epochs"],
        )
        assert stages == row.stages(500)


def test_progressive_quantization_improves_the_triangle(module, committed):
    gains = module("results").improvements(committed, "provq", "triangle")
    position = committed["seeds"].index(module("results").median_seed(committed))
    assert gains[position] > 15.0
    assert committed["rows"]["provq"]["codes_used"] == [32] * len(committed["seeds"])


def test_progressive_quantization_improves_the_total(module, committed):
    results = module("results")
    gains = results.improvements(committed, "provq", "total")
    assert results.spread(gains).median > 0.0
