"""Are latents and codes recorded at the stages of the curriculum, and does the page show them?"""

import importlib
import json
import shutil
import sys

import numpy as np
import pytest
import torch

from provq_protein import StructureTokenizer
from provq_protein.errors import ConfigError
from provq_protein.training.config import load_recipe
from provq_protein.training.store import save_store
from provq_protein.training.trainer import Trainer

PLAIN = ["schedule.warmup_steps=0", "schedule.transition_steps=0", "seeding.method=none"]
# Of the smoke recipe: 5 steps of warm-up, 6 of transition, 16 in all.
STEPS = {"start": 0, "warmup": 5, "seeded": 6, "middle": 8, "transition": 11, "end": 16}


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, before a package of the same name."""
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def module():
    return lambda name: importlib.import_module(f"tokenizer_comparison.{name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_store):
    """Return a folder with the store."""
    path = tmp_path_factory.mktemp("data")
    save_store(path / "chains.h5", tiny_store, provenance="test")
    return path


def command(folder, output, *more):
    options = {
        "--store": folder / "chains.h5",
        "--output": output / "runs",
        "--results": output / "results",
        "--stages-of": "smoke",
        "--residues": 60,
    }
    return ["--recipe", "smoke", *(str(word) for pair in options.items() for word in pair), *more]


@pytest.fixture(scope="module")
def recorded(module, folder, tmp_path_factory):
    """Return a folder with runs and results of the smoke recipe, with and without curriculum."""
    output = tmp_path_factory.mktemp("recorded")
    assert module("stages").main(command(folder, output)) == 0
    plain = [word for one in PLAIN for word in ("--set", one)]
    assert module("stages").main(command(folder, output, *plain)) == 0
    return output


@pytest.fixture
def results(module, recorded):
    return module("stage_results").load_all(recorded / "results")


def stages_of(results, variant):
    return {one["name"]: one for one in results[variant][0]["stages"]}


def test_each_variant_has_a_file_with_its_own_settings(recorded, results, tiny_store):
    names = sorted(path.name for path in (recorded / "results").iterdir())
    assert names == ["vanilla_vq.0.json", "vanilla_vq_provq.0.json"]
    run = results["vanilla_vq_provq"][0]
    assert run["training"]["recipe"]["schedule"]["warmup_steps"] == 5
    assert run["training"]["data_hash"] == tiny_store.content_hash()
    assert "stages.py --recipe smoke --store chains.h5" in run["training"]["command"]
    text = (recorded / "results" / "vanilla_vq_provq.0.json").read_text()
    assert str(recorded) not in text
    assert str(recorded.parent) not in text


@pytest.mark.parametrize("variant", ["vanilla_vq", "vanilla_vq_provq"])
def test_the_stages_are_those_of_the_schedule(results, variant):
    found = {name: one["step"] for name, one in stages_of(results, variant).items()}
    assert found == STEPS


def test_codes_are_nearer_to_the_latents_once_they_are_seeded(results):
    stages = stages_of(results, "vanilla_vq_provq")
    assert stages["seeded"]["distortion"] < 0.5 * stages["warmup"]["distortion"]
    # Both start from the same weights, and only one of them is seeded.
    provq, plain = (stages_of(results, one) for one in ("vanilla_vq_provq", "vanilla_vq"))
    assert plain["start"]["codes"] == provq["start"]["codes"]
    assert plain["seeded"]["distortion"] > 0.5 * plain["warmup"]["distortion"]


def test_the_last_stage_is_the_trained_model(module, recorded, results, tiny_store):
    run = recorded / "runs" / "vanilla_vq_provq.0"
    tokenizer = StructureTokenizer.from_pretrained(run / "model")
    chains = [tiny_store.backbone(int(one)) for one in tiny_store.select("validation")]
    latents = np.concatenate(
        [tokenizer.embed([chain])[0][chain.resolved] for chain in chains]
    ).astype(float)
    sample = module("stage_measures").draw_sample(tiny_store, residues=60, seed=0)
    shown = latents[sample.rows.numpy()]
    gaps = ((shown[:, None] - tokenizer.codebook[None]) ** 2).sum(-1)
    spread = ((shown - shown.mean(0)) ** 2).sum(-1).mean()
    end = stages_of(results, "vanilla_vq_provq")["end"]
    assert end["distortion"] == pytest.approx(gaps.min(1).mean() / spread, rel=1e-3)
    used = np.unique(gaps.argmin(1))
    assert np.flatnonzero(end["used"]).tolist() == used.tolist()
    assert end["utilization"] == pytest.approx(len(used) / 32)
    of_set = ((latents[:, None] - tokenizer.codebook[None]) ** 2).sum(-1).argmin(1)
    assert end["set_utilization"] == pytest.approx(len(np.unique(of_set)) / 32)
    # Independently: singular values of the centred latents.
    values = np.linalg.svd(shown - shown.mean(0), compute_uv=False) ** 2
    assert end["explained"] == pytest.approx((values[:2] / values.sum()).tolist(), abs=1e-5)
    points = np.stack([end["latents"]["x"], end["latents"]["y"]], axis=1)
    assert (points**2).sum(0) == pytest.approx(values[:2], rel=0.02, abs=0.05)
    assert all(round(x, 3) == x for x in end["codes"]["x"])
    assert len(end["codes"]["x"]) == len(end["used"]) == 32


def test_stopping_at_stages_does_not_change_the_run(recorded, tiny_store, tmp_path):
    Trainer(load_recipe("smoke"), tiny_store, tmp_path / "whole").run()
    names = [tmp_path / "whole", recorded / "runs" / "vanilla_vq_provq.0"]
    whole, stopped = (
        StructureTokenizer.from_pretrained(one / "model").fingerprint for one in names
    )
    assert whole == stopped


def interrupted(module, monkeypatch, folder, output, *, when):
    """Run the command, cut off when the trainer reports a step."""
    trainer = module("stages").Trainer

    class Cut(trainer):
        def _report(self, event, on_event):
            super()._report(event, on_event)
            if (event["kind"], event["step"]) == ("train", when):
                raise KeyboardInterrupt

    monkeypatch.setattr(module("stages"), "Trainer", Cut)
    with pytest.raises(KeyboardInterrupt):
        module("stages").main(command(folder, output))
    monkeypatch.setattr(module("stages"), "Trainer", trainer)


def test_a_run_that_was_cut_off_records_what_an_unbroken_one_does(
    module, monkeypatch, folder, recorded, tmp_path
):
    # In the warm-up, before its first stop; and in the transition, at no checkpoint.
    for when in (2, 9):
        interrupted(module, monkeypatch, folder, tmp_path, when=when)
        assert not (tmp_path / "results").exists()
    assert module("stages").main(command(folder, tmp_path)) == 0
    found, expected = (
        json.loads((one / "results" / "vanilla_vq_provq.0.json").read_text())["stages"]
        for one in (tmp_path, recorded)
    )
    assert found == expected


def test_a_run_cut_off_between_stop_and_record_comes_back_to_it(
    module, monkeypatch, folder, recorded, tmp_path
):
    stages = module("stages")
    measure = stages.measure_stage
    calls = []

    def fail(model, sample):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(model, sample)

    monkeypatch.setattr(stages, "measure_stage", fail)
    with pytest.raises(KeyboardInterrupt):
        stages.main(command(folder, tmp_path))
    assert stages.main(command(folder, tmp_path)) == 0
    assert len(calls) == 7  # what was recorded before is not measured again
    found, expected = (
        json.loads((one / "results" / "vanilla_vq_provq.0.json").read_text())["stages"]
        for one in (tmp_path, recorded)
    )
    assert found == expected


def test_a_finished_run_is_not_trained_again_and_not_shown_with_other_residues(
    module, folder, recorded, tmp_path, capsys
):
    shutil.copytree(recorded, tmp_path / "copy")
    path = tmp_path / "copy" / "results" / "vanilla_vq_provq.0.json"
    before = path.read_text()
    assert module("stages").main(command(folder, tmp_path / "copy")) == 0
    assert path.read_text() == before
    assert module("stages").main(command(folder, tmp_path / "copy", "--sample-seed", "1")) == 2
    assert "is at step 16, and stage start at step 0 was not recorded" in capsys.readouterr().err
    assert path.read_text() == before


def test_the_sample_depends_on_store_and_seed_alone(module, tiny_store, tiny_model):
    measures = module("stage_measures")
    sample = measures.draw_sample(tiny_store, residues=50, seed=3)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002  (a change of global state is the point)
    again = measures.draw_sample(tiny_store, residues=50, seed=3)
    assert torch.equal(sample.rows, again.rows)
    assert len(set(sample.rows.tolist())) == 50
    assert int(sample.rows.max()) < sample.total
    other = measures.draw_sample(tiny_store, residues=50, seed=4)
    assert not torch.equal(sample.rows, other.rows)
    # Looking at another model in between changes nothing.
    first = measures.measure_stage(tiny_model, sample)
    measures.measure_stage(type(tiny_model).build(load_recipe("smoke").model, seed=8), sample)
    assert measures.measure_stage(tiny_model, sample) == first


def test_a_sample_without_residues_is_refused(module, tiny_store):
    with pytest.raises(ConfigError, match=r"1 of \d+ resolved residues.*expected 2 or more"):
        module("stage_measures").draw_sample(tiny_store, residues=1, seed=0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--recipe", "small_vanila"], "small_vanila"),
        (["--recipe", "smoke"], "vanilla_vq_provq.0, as a recipe before it"),
        (["--set", "schedule.transition_steps=2"], "expected each later than the one before"),
        (["--set", "steps=11", "--set", "settle_steps=0"], "of a run of 11"),
        (["--set", "schedule.shape=linear"], "no variant of the comparison"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    module, folder, tmp_path, capsys, more, message
):
    assert module("stages").main(command(folder, tmp_path, *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("stages.py: error:")
    assert message in " ".join(error.split())
    assert not (tmp_path / "runs").exists()


def test_other_settings_or_residues_are_not_shown_together(module, recorded, tmp_path):
    for change, message in (
        (lambda run: run["training"]["recipe"].update(steps=17), "steps is 16, not 17"),
        (lambda run: run["sample"].update(seed=5), "seed of the sample is 0, not 5"),
        (lambda run: run["stages"][1].update(step=4), "step of warmup is 5, not 4"),
    ):
        shutil.copytree(recorded / "results", tmp_path, dirs_exist_ok=True)
        path = tmp_path / "vanilla_vq.0.json"
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))
        with pytest.raises(ConfigError, match=message):
            module("stage_results").load_all(tmp_path)


@pytest.fixture
def comparison(repo_root, recorded, tmp_path):
    """Return a folder with results of the comparison, and those of the stages within."""
    committed = repo_root / "benchmarks" / "tokenizer_comparison" / "results"
    paths = sorted(committed.glob("*.json"))[:1]
    if not paths:
        pytest.skip("no results are committed")
    (tmp_path / "r").mkdir()
    shutil.copy(paths[0], tmp_path / "r")
    shutil.copytree(recorded / "results", tmp_path / "r" / "stages")
    return tmp_path / "r"


def test_the_page_shows_the_stages_and_the_check_covers_them(module, comparison, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the figure needs the extra provq[plot]")
    page, table = tmp_path / "docs" / "page.md", module("table")
    options = ["--results", str(comparison), "--page", str(page)]
    assert table.main(options) == 0
    assert table.main([*options, "--check"]) == 0
    assert (page.parent / "tokenizers_stages.svg").is_file()
    text = page.read_text()
    assert "(tokenizers_stages.png)" in text
    assert "Latents of 60 of" in text
    end = stages_of(module("stage_results").load_all(comparison / "stages"), "vanilla_vq")["end"]
    assert f"| VanillaVQ | end | 16 | {100 * end['utilization']:.1f} |" in text

    path = comparison / "stages" / "vanilla_vq.0.json"
    run = json.loads(path.read_text())
    run["stages"][2]["latents"]["x"][0] += 1.0
    path.write_text(json.dumps(run))
    capsys.readouterr()
    assert table.main([*options, "--check"]) == 1
    stale = capsys.readouterr().err
    assert "tokenizers_stages.svg" in stale
    assert "tokenizers_stages.png" in stale
    assert "page.md" not in stale
    run["stages"][2]["latents"]["x"][0] -= 1.0
    run["stages"][5]["distortion"] += 1.0
    path.write_text(json.dumps(run))
    assert table.main([*options, "--check"]) == 1
    assert "page.md" in capsys.readouterr().err


def test_without_results_of_stages_the_page_has_none(module, comparison, tmp_path):
    pytest.importorskip("matplotlib", reason="the figures need the extra provq[plot]")
    shutil.rmtree(comparison / "stages")
    page = tmp_path / "docs" / "page.md"
    options = ["--results", str(comparison), "--page", str(page)]
    assert module("table").main(options) == 0
    assert module("table").main([*options, "--check"]) == 0
    assert "at the stages" not in page.read_text()
    assert not (page.parent / "tokenizers_stages.svg").exists()
