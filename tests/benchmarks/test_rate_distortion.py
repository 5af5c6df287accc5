"""Does the curve show what its codes do, and does the page say what the results hold?"""

import copy
import importlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from provq_protein import StructureTokenizer
from provq_protein.errors import ConfigError, StructureError
from provq_protein.evaluation.controls import continuous_roundtrip
from provq_protein.geometry.similarity import lddt_ca, rmsd
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.training.store import build_store, save_store

POINTS = [
    "floor",
    "own",
    "kmeans.2",
    "kmeans.8",
    "kmeans.32",
    "residual.4",
    "residual.16",
    "steps.4",
    "steps.32",
    "followed.4",
    "followed.32",
]


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, before a package of the same name."""
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def module():
    return lambda name: importlib.import_module(f"rate_distortion.{name}")


@pytest.fixture(scope="module")
def tokenizer(tiny_model, tiny_store):
    """Return an untrained model, but for its codes: those stand for its latents."""
    found = StructureTokenizer(copy.deepcopy(tiny_model))
    chains = [tiny_store.backbone(int(one)) for one in tiny_store.select("train")]
    latents = torch.from_numpy(np.concatenate(found.embed(chains)))
    known = latents[torch.isfinite(latents).all(dim=1)]
    found.model.quantizer.seed(known, torch.Generator().manual_seed(0))
    return StructureTokenizer(found.model)


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_store, tokenizer):
    """Return a folder with the store, a model that names it, and a structure file."""
    folder = tmp_path_factory.mktemp("data")
    save_store(folder / "chains.h5", tiny_store, provenance="test")
    (folder / "mine").mkdir()
    training = {"data_hash": tiny_store.content_hash()}
    tokenizer.model.save(folder / "mine" / "model", training=training)
    chain = tiny_store.backbone(2)
    named = Backbone.from_arrays(chain.coords, sequence="A" * len(chain))
    write_backbone(folder / "target.cif", named)
    return folder


def command(data, *more):
    options = "--sizes 2 8 32 --residual-sizes 4 16 --step-sizes 4 32 --chains 2 --latents 200"
    places = ["--store", str(data / "chains.h5"), "--model", str(data / "mine" / "model")]
    return [*places, *options.split(), *map(str, more)]


@pytest.fixture(scope="module")
def measured(module, data, tmp_path_factory):
    """Return the path of results, with page and figure beside it."""
    pytest.importorskip("matplotlib", reason="the figure needs the extra provq[plot]")
    path = tmp_path_factory.mktemp("measured") / "curve.json"
    more = ("--structures", data / "target.cif", "--results", path)
    assert module("run").main(command(data, *more)) == 0
    return path


@pytest.fixture(scope="module")
def results(module, measured):
    return module("results").load_results(measured)


# ---------------------------------------------------------------------------------------- latents


def test_more_codes_never_hurt_the_latents_they_were_fitted_to(results):
    points = results["points"]
    for kind in ("kmeans", "residual"):
        distortions = [one["sample_distortion"] for one in points.values() if one["kind"] == kind]
        assert distortions == sorted(distortions, reverse=True)
        assert len(set(distortions)) == len(distortions)


def test_a_second_level_lowers_the_distortion_of_the_own_codes(results):
    points = results["points"]
    for part in results["sets"]:
        own, *levels = (
            points[key]["sets"][part]["distortion"] for key in ("own", "residual.4", "residual.16")
        )
        assert own < 1.0
        assert all(one < own for one in levels)


def test_the_floor_is_what_the_decoder_makes_of_the_latents(results, tokenizer, tiny_store):
    chains = [tiny_store.backbone(int(one)) for one in tiny_store.select("validation")[:2]]
    rows = results["points"]["floor"]["sets"]["validation"]["chains"]["rows"]
    for chain, row in zip(chains, rows, strict=True):
        back = continuous_roundtrip(tokenizer, chain)
        assert row[1:] == pytest.approx(scores(chain, back.coords[chain.resolved, 1]), abs=1e-4)
    assert results["points"]["floor"]["bits"] is None
    assert results["points"]["floor"]["sets"]["validation"]["distortion"] == 0.0


def test_the_own_codes_are_the_tokens_of_the_model(results, tokenizer, tiny_store):
    chains = [tiny_store.backbone(int(one)) for one in tiny_store.select("validation")[:2]]
    tokens = tokenizer.encode(chains)
    found = results["points"]["own"]["sets"]["validation"]
    usage = CodeUsage(tokenizer.codebook_size)
    for chain, one, row in zip(chains, tokens, found["chains"]["rows"], strict=True):
        (back,) = tokenizer.decode([one])
        assert row[1:] == pytest.approx(scores(chain, back.coords[chain.resolved, 1]), abs=1e-4)
        usage.add(torch.tensor(one.ids[one.resolved], dtype=torch.int64))
    assert found["entropy"] == pytest.approx(usage.entropy / np.log(2), rel=1e-5)
    assert found["utilization"] == [pytest.approx(usage.utilization, rel=1e-5)]


def test_the_rates_add_up(results, tokenizer):
    points = results["points"]
    assert list(points) == POINTS
    own = np.log2(tokenizer.codebook_size)
    assert points["own"]["bits"] == pytest.approx(own, rel=1e-5)
    assert points["kmeans.8"]["bits"] == 3.0
    assert points["residual.16"]["bits"] == pytest.approx(own + 4.0, rel=1e-5)
    assert points["steps.32"]["bits"] == points["followed.32"]["bits"] == 5.0
    for one in points.values():
        for found in one["sets"].values():
            assert one["bits"] is None or 0.0 <= found["entropy"] <= one["bits"] + 1e-6


def scores(chain, alpha):
    true = chain.coords[chain.resolved, 1]
    return [rmsd(alpha, true), lddt_ca(alpha, true)]


# ------------------------------------------------------------------------------------ the baseline


def broken_chain(make_coords):
    """Return a chain with unresolved residues, and a break between two resolved ones."""
    coords = make_coords(50, 5)
    coords[20:23, 1] = np.nan
    coords[35:] += 30.0
    return Backbone.from_arrays(coords)


@pytest.mark.parametrize("follow", [False, True])
def test_as_many_codes_as_steps_give_the_chain_back(module, make_coords, follow):
    chain = broken_chain(make_coords)
    steps = module("steps").bonded_steps([chain])
    # Neither over the gap nor over the break.
    assert len(steps) == 50 - 3 - 1 - 2
    point = module("points").step_point(steps, len(steps), follow=follow, iterations=5, seed=0)
    rebuilt = point.rebuild(chain, torch.empty(0))
    assert rmsd(rebuilt.alpha, chain.coords[chain.resolved, 1]) < 1e-3
    assert len(rebuilt.indices) == len(steps)


def test_codes_chosen_along_the_chain_lose_less_of_it(module, make_coords):
    chain = Backbone.from_arrays(make_coords(150, 5))
    steps = module("steps").bonded_steps([chain])
    true = chain.coords[chain.resolved, 1]
    nearest, _ = module("steps").coded_chain(chain, steps[::4])
    followed, indices = module("steps").coded_chain(chain, steps[::4], follow=True)
    assert rmsd(followed, true) < 0.5 * rmsd(nearest, true)
    assert len(indices) == len(steps)


def test_fewer_codes_lose_some_of_the_chain_and_breaks_are_free(module, make_coords):
    chain = broken_chain(make_coords)
    steps = module("steps").bonded_steps([chain])
    alpha, _ = module("steps").coded_chain(chain, steps[:1])
    true = chain.coords[chain.resolved, 1]
    assert rmsd(alpha, true) > 1.0
    # Rows 31 and 32 are the two sides of the break, as the gap took three residues.
    gap = np.linalg.norm(alpha[32] - alpha[31])
    assert gap == pytest.approx(np.linalg.norm(true[32] - true[31]), abs=1e-4)


def test_a_chain_of_one_residue_is_no_step(module, make_coords):
    chain = Backbone.from_arrays(make_coords(1, 0))
    alpha, indices = module("steps").coded_chain(chain, torch.zeros(2, 12))
    assert alpha.shape == (1, 3)
    assert len(indices) == 0


def test_a_rotation_that_is_none_is_made_one(module, make_coords):
    chain = Backbone.from_arrays(make_coords(30, 1))
    features = module("steps").chain_steps(chain).features
    scaled = torch.cat([0.5 * features[:, :9], features[:, 9:]], dim=1)
    assert rmsd(module("steps").regrown(scaled), chain.coords[:, 1]) < 1e-3


# ------------------------------------------------------------------------- the command and the page


def test_the_same_options_give_the_same_file(module, data, measured, results):
    sets = results["sets"]
    assert sets["validation"]["chain_count"] == 2
    assert sets["structures"]["origin"].startswith("1 structure files of ")
    assert str(data.parent) not in measured.read_text()
    other = measured.with_name("again.json")
    more = ("--structures", data / "target.cif", "--results", other)
    assert module("run").main(command(data, *more)) == 0
    assert other.read_text() == measured.read_text()


def test_the_page_shows_the_medians_and_says_what_is_unadapted(measured, results, module):
    page = measured.with_suffix(".md").read_text()
    for part in results["sets"]:
        for point in POINTS:
            middle = module("results").median(results, point, part, "rmsd_ca")
            low, high = module("results").interval(results, point, part, "rmsd_ca")
            assert low <= middle <= high
            assert f"{middle:.2f} [{low:.2f}, {high:.2f}]" in page
    assert "a decoder that was trained on other codes" in page
    assert "given the true step, for free" in page
    assert f"]({measured.stem}.svg)" in page


def test_sentences_say_who_is_better(results, module):
    made = json.loads(json.dumps(results))
    shifts = {"own": 3.0, "floor": 1.0, "kmeans.32": 2.0, "residual.16": 2.0, "steps.32": 5.0}
    for key, point in made["points"].items():
        point["sets"]["validation"]["chains"]["rows"] = [
            [f"chain{row}", row + shifts.get(key, 0.0), 0.5] for row in range(20)
        ]
    text = "\n".join(module("findings").sentences(made, "validation"))
    rmsd_worse = "RMSD of CA (Å) worse (median difference +2.00 [+2.00, +2.00])"
    rmsd_better = "RMSD of CA (Å) better (median difference -1.00 [-1.00, -1.00])"
    assert f"The model's own codes, against latents without quantization: {rmsd_worse}" in text
    assert f"Steps of the chain, 32 codes, against the model's own codes: {rmsd_worse}" in text
    assert f"second level of 16, against the model's own codes: {rmsd_better}" in text
    assert "not clearly different (median difference +0.000" in text
    assert "the second level takes back 50 %" in text


def test_page_and_figure_are_checked(module, measured, results, tmp_path, capsys):
    path = tmp_path / measured.name
    for one in measured.parent.glob(f"{measured.stem}.*"):
        (tmp_path / one.name).write_bytes(one.read_bytes())
    options = ["--results", str(path)]
    assert module("run").main([*options, "--check"]) == 0

    page = path.with_suffix(".md")
    text = page.read_text()
    page.write_text(text.replace("unadapted", "adapted"))
    assert module("run").main([*options, "--check"]) == 1
    assert "curve.md: does not show the current results" in capsys.readouterr().err

    page.write_text(text)
    changed = json.loads(path.read_text())
    changed["points"]["own"]["sets"]["validation"]["chains"]["rows"][0][1] += 1.0
    path.write_text(json.dumps(changed))
    assert module("run").main([*options, "--check"]) == 1
    stale = capsys.readouterr().err
    assert "curve.svg" in stale
    assert "curve.png" in stale

    assert module("run").main(options) == 0
    assert module("run").main([*options, "--check"]) == 0


def test_another_model_does_not_replace_the_page_of_the_shipped_one(module, data, repo_root):
    run = module("run")
    page = repo_root / "docs" / "results" / "rate_distortion.md"
    results, written = run.places(run.build_parser().parse_args([]))
    assert (results.name, written) == ("default.json", page)
    for words in (["--model", str(data / "mine" / "model")], ["--results", "x/default.json"]):
        results, written = run.places(run.build_parser().parse_args(words))
        assert written == results.with_suffix(".md")
        assert written != page
    assert run.places(run.build_parser().parse_args(["--model", "runs/mine/model"]))[0].name == (
        "mine_model.json"
    )


def test_the_committed_page_shows_the_committed_results(module, repo_root, capsys):
    results, page = module("run").places(module("run").build_parser().parse_args([]))
    if not results.exists():
        assert not page.exists()
        pytest.skip("no results are committed")
    assert module("run").main(["--check"]) == 0, capsys.readouterr().err


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--model", "nowhere"], "nowhere: no such model folder"),
        (["--store", "nowhere.h5"], "nowhere.h5: no such file"),
        (["--structures", "nowhere.pdb"], "nowhere.pdb"),
        (["--sizes", "2000"], "cannot fit 2000 codes to 200 latents"),
        (["--step-sizes", "2000"], "cannot fit 2000 codes to 200 steps"),
    ],
)
def test_what_cannot_be_measured_is_said(module, data, tmp_path, capsys, changes, message):
    path = tmp_path / "x.json"
    assert module("run").main(command(data, "--results", path, *changes)) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_a_store_without_validation_or_training_chains_is_refused(
    module, data, tiny_store, tiny_model, tmp_path, capsys
):
    chains = [tiny_store.backbone(row) for row in range(3)]
    for split, message in (("train", "has no validation chains"), ("validation", "no training")):
        store = build_store(chains, [split] * 3)
        save_store(tmp_path / "one.h5", store, provenance="test")
        tiny_model.save(tmp_path / "model", training={"data_hash": store.content_hash()})
        more = ("--store", tmp_path / "one.h5", "--model", tmp_path / "model")
        assert module("run").main(command(data, *more, "--results", tmp_path / "x.json")) == 2
        assert message in capsys.readouterr().err


def test_a_model_of_another_store_is_refused(module, data, tiny_model, tmp_path, capsys):
    for training, message in (({"data_hash": "0" * 16}, "trained on 0000"), ({}, "records no")):
        tiny_model.save(tmp_path / "model", training=training)
        more = ("--model", tmp_path / "model", "--results", tmp_path / "x.json")
        assert module("run").main(command(data, *more)) == 2
        assert message in capsys.readouterr().err


def test_a_count_below_one_is_refused(module, data, capsys):
    with pytest.raises(SystemExit):
        module("run").main(command(data, "--chains", "0"))
    assert "expected 1 or more, got 0" in capsys.readouterr().err


def test_files_that_hold_no_results_are_refused(module, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    for path in (tmp_path / "x.json", tmp_path / "y.json"):
        with pytest.raises(ConfigError, match="is no results file"):
            module("results").load_results(path)


def test_chains_without_any_resolved_residue_are_left_out(
    module, make_coords, tmp_path, monkeypatch
):
    whole = Backbone.from_arrays(make_coords(20, 0), source="whole.cif")
    empty = replace(
        whole, source="empty.cif", resolved=np.zeros(20, dtype=bool),
        coords=np.full((20, 3, 3), np.nan, dtype=np.float32),
    )  # fmt: skip
    found = {"whole.cif": [whole], "empty.cif": [empty]}
    monkeypatch.setattr(module("run"), "read_backbones", lambda path: found[path.name])
    read = module("run").from_paths([tmp_path / name for name in found])
    assert read.backbones == [whole]
    assert read.left_out == ["empty.cif: chain A"]
    with pytest.raises(StructureError, match="no residue of 1 chains"):
        module("run").from_paths([tmp_path / "empty.cif"])
