"""Are drawn images measured as the page says, and does the page say what the results hold?"""

import copy
import dataclasses
import importlib
import json
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("PIL", reason="images need the extra 'vision'")
pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")

from PIL import Image

from provq_protein.errors import ConfigError
from provq_protein.runs.config import to_mapping
from provq_vision.generation import GPTS, Gpt, TrainedGpt
from provq_vision.gpt_training.config import load_recipe as load_gpt_recipe
from provq_vision.images.decoding import decode_image
from provq_vision.metrics.generation.record import SampleScores, SampleSetting
from provq_vision.metrics.perceived import Perceived
from provq_vision.model import ImageAutoencoder
from provq_vision.training.config import load_recipe

SIDE = 32


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, before a package of the same name."""
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def module():
    return lambda name: importlib.import_module(f"image_generation.{name}")


# ------------------------------------------------------------------------------------- measuring


class ToyFeatures:
    """Means and contrasts of colors."""

    id = "toy"
    spatial_id = "toy/quarters"
    weights_sha256 = "0" * 64
    dim = 6
    spatial_dim = 12

    def perceive(self, images):
        values = images.double().flatten(2)
        pooled = torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)
        spatial = torch.nn.functional.adaptive_avg_pool2d(images.double(), 2).flatten(1)
        return Perceived(pooled, spatial, pooled[:, :3] / 20)


@pytest.fixture
def runs(tmp_path):
    """Return the folders of a tokenizer and of a model of its tokens, and one of images."""
    generator = np.random.default_rng(0)
    for split in ("val", "test"):
        for label in ("cat", "dog"):
            place = tmp_path / "images" / split / label
            place.mkdir(parents=True)
            for number in range(6):
                coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((SIDE, SIDE)).save(place / f"{number}.png")
    recipe = load_recipe("smoke")
    tokenizer = ImageAutoencoder.build(recipe.model, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in tokenizer.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    record = {"recipe": to_mapping(recipe), "image_size": SIDE, "data_hash": "d"}
    tokenizer.save(tmp_path / "tokenizer" / "model", training=record)
    grid = SIDE // recipe.network.downsampling
    sizes = dataclasses.replace(
        GPTS["mini"], dim=32, layers=1, vocabulary=recipe.codebook.size, num_classes=2, grid=grid
    )
    own = {
        "recipe": to_mapping(load_gpt_recipe("smoke")),
        "classes": ["cat", "dog"],
        "training_images": 8,
        "views": 1,
        "trained_seconds": 60.0,
    }
    model = Gpt.build(sizes)
    # An untrained output is zero, for which guidance makes no difference.
    torch.nn.init.normal_(model.output.weight, generator=generator)
    gpt = TrainedGpt(model, tokenizer.fingerprint(), own)
    gpt.save(tmp_path / "gpt" / "model")
    events = [{"step": step, "kind": "train", "loss": 3.0 - step / 10} for step in range(20)]
    events.append({"step": 19, "kind": "validation", "loss": 2.5})
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / "gpt" / "metrics.jsonl").write_text(lines)
    return tmp_path


@pytest.fixture
def measured(module, runs, monkeypatch):
    """Return what measures them, with a network that needs no weights."""
    monkeypatch.setattr(module("ruler"), "make_extractor", lambda name: ToyFeatures())

    def measure(*more):
        return module("measure").main(
            [
                str(runs / "gpt"),
                *("--tokenizers", str(runs / "tokenizer"), "--data", str(runs / "images")),
                *("--per-class", "3", "--guidance", "1", "2", "--seeds", "0", "1"),
                *("--cache", str(runs / "cache"), "--results", str(runs / "results"), *more),
            ]
        )

    return measure


def test_samples_reconstructions_and_real_images_are_measured_alike(measured, runs, module):
    assert measured() == 0
    comparison = module("results").load_all(runs / "results")
    run = comparison.runs["vanilla_provq"][0]
    drawn = [(entry["guidance"], entry["seed"]) for entry in run["samples"]]
    assert drawn == [(1.0, 0), (2.0, 0), (2.0, 1)]
    every = [comparison.real, *(module("results").scores_of(one) for one in (run, *run["samples"]))]
    assert {one.setting.n_samples for one in every} == {6}
    assert {one.setting.n_reference for one in every} == {12}
    assert len({one.setting.samples for one in every}) == len(every)
    picture = decode_image((runs / "results" / run["picture"]).read_bytes(), name="picture")
    assert picture.shape == (2 * SIDE + 2, 8 * (SIDE + 2) - 2, 3)
    text = (runs / "results" / "vanilla_provq.0.json").read_text()
    assert str(runs) not in text


def test_what_was_measured_is_kept_and_the_rest_added(measured, runs, module, monkeypatch):
    assert measured("--guidance", "1", "2", "--seeds", "0") == 0
    path = runs / "results" / "vanilla_provq.0.json"
    first = json.loads(path.read_text())
    drawn = []
    plain = module("measure").drawn
    monkeypatch.setattr(
        module("measure"), "drawn", lambda *words: drawn.append(words[3]) or plain(*words)
    )
    assert measured() == 0
    assert drawn == [{"guidance": 2.0, "seed": 1}]
    second = json.loads(path.read_text())
    assert second["samples"][:2] == first["samples"]
    # Other samples per class are another measurement.
    assert measured("--per-class", "2") == 0
    assert len(drawn) == 4


def test_a_model_without_its_tokenizer_is_refused(measured, runs, capsys):
    config = runs / "gpt" / "model" / "config.json"
    document = json.loads(config.read_text())
    config.write_text(json.dumps(document | {"tokenizer": "0" * 16}))
    assert measured() == 2
    assert "none of --tokenizers has the fingerprint 0000000000000000" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ page


def scores(fid, *, samples=1000, score=5.0, precision=0.5):
    setting = SampleSetting(
        samples=f"{fid}",
        n_samples=samples,
        n_unreadable=0,
        size=64,
        reference="r",
        n_reference=4000,
        n_reference_rows=4000,
        extractor="toy",
        spatial_extractor="toy/quarters",
        weights_sha256="0" * 64,
        neighbors=3,
        provq="1",
        torch="2",
    )
    return SampleScores(
        setting=setting,
        fid=fid,
        sfid=2 * fid,
        inception_score=score,
        precision=precision,
        recall=0.25,
        problems=(),
    ).to_json()


def results(row, seed, fids, *, kept=60.0):
    recipe = to_mapping(load_recipe("smoke", preset=row.replace("_", "+")))
    gpt = to_mapping(load_gpt_recipe("mini", [f"seed={seed}"]))
    drawn = [(1.0, 0, fids[0] + 9.0), (1.5, 0, fids[0]), (1.5, 1, fids[1]), (2.0, 0, fids[0] + 4.0)]
    return {
        "format": "provq-image-generation",
        "format_version": 1,
        "row": row,
        "seed": seed,
        "tokenizer": {"fingerprint": "f", "training": {"recipe": recipe, "data_hash": "d"}},
        "gpt": {
            "fingerprint": "g",
            "parameters": 1_000_000,
            "training": {
                "recipe": gpt,
                "training_images": 12_000,
                "views": 1,
                "trained_seconds": 600.0,
            },
        },
        "per_class": 10,
        "width": 16,
        "curves": {
            "window": 10,
            "train": {"step": [5, 15], "loss": [6.0, 5.0]},
            "validation": {"step": [19], "loss": [4.5]},
        },
        "scores": scores(kept),
        "samples": [
            {"guidance": guidance, "seed": number, "codes_used": 9, "scores": scores(fid)}
            for guidance, number, fid in drawn
        ],
        "picture": f"{row}.{seed}.png",
        "machine": "m",
        "versions": {"python": "3"},
    }


@pytest.fixture
def folder(tmp_path):
    """Return a folder of results in which ProVQ is better with both seeds."""
    place = tmp_path / "page_results"
    place.mkdir()
    for row, seed, fids, kept in (
        ("vanilla", 0, (120.0, 122.0), 90.0),
        ("vanilla", 1, (130.0, 131.0), 92.0),
        ("vanilla_provq", 0, (100.0, 103.0), 60.0),
        ("vanilla_provq", 1, (110.0, 111.0), 62.0),
    ):
        write(place, results(row, seed, fids, kept=kept))
    real = results("vanilla", 0, (0.0, 0.0))
    real = {name: real[name] for name in ("format", "format_version", "machine", "versions")}
    (place / "real.json").write_text(json.dumps(real | {"scores": scores(30.0)}))
    return place


def write(place, document):
    stem = f"{document['row']}.{document['seed']}"
    (place / f"{stem}.json").write_text(json.dumps(document))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(place / f"{stem}.png")


def sentences(module, folder):
    return " ".join(module("findings").sentences(module("results").load_all(folder)))


def test_sentences_say_where_provq_is_better_worse_or_neither(module, folder):
    assert "gFID: better (-19.5, -20.0); sFID: better (-39.0, -40.0); IS: no difference" in (
        sentences(module, folder)
    )
    write(folder, results("vanilla_provq", 1, (140.0, 141.0), kept=62.0))
    assert "gFID: undecided (-19.5, +10.0)" in sentences(module, folder)
    write(folder, results("vanilla_provq", 0, (150.0, 151.0), kept=60.0))
    assert "gFID: worse (+29.5, +10.0)" in sentences(module, folder)


def test_sentences_set_tokenizer_model_and_chance_apart(module, folder):
    text = sentences(module, folder)
    assert "have a gFID of 30.0." in text
    assert "91.0 and 125.8 (Vanilla); 61.0 and 106.0 (Vanilla + both (ProVQ))" in text
    assert "reconstructions of the two differ by -30.0 in gFID, their samples by -19.8" in text
    assert "change the gFID of a model by 3.0 at most (1.8 on average)" in text
    assert "1.5 and 1.5 (Vanilla)" in text


def test_a_collapsed_tokenizer_is_called_so(module, folder):
    # Nine codes of a codebook of 32 in all samples.
    assert "collapsed" not in sentences(module, folder)
    for seed in (0, 1):
        document = results("vanilla", seed, (120.0, 122.0))
        for entry in document["samples"]:
            entry["codes_used"] = 2
        write(folder, document)
    assert "Vanilla has collapsed: samples use 6.2% and 6.2% of its codes" in (
        sentences(module, folder)
    )


def test_a_precision_above_that_of_real_images_is_called_what_it_is(module, folder):
    assert "Precision says little" not in sentences(module, folder)
    for seed in (0, 1):
        document = results("vanilla", seed, (120.0, 122.0))
        write(folder, document | {"scores": scores(90.0, precision=0.8)})
    text = sentences(module, folder)
    assert "real images have 0.50, and what a tokenizer leaves of them has 0.80 (Vanilla)." in text


def test_the_page_has_every_number_once_per_training(module, folder):
    page = module("report").document(module("results").load_all(folder), "")
    assert "| samples, Vanilla | 125.8 (121.0, 130.5) |" in page
    assert "| reconstructions, Vanilla + both (ProVQ) | 61.0 (60.0, 62.0) |" in page
    assert "| real images | 30.0 |" in page
    assert "| Vanilla | 0 | 120.0 | 122.0 | 121.0 |" in page
    assert "| Vanilla | gFID | 134.0 (129.0, 139.0) | 125.0 (120.0, 130.0) |" in page
    assert "| LlamaGen-B | ProVQ | 111M | 4.99 | 190.30 | 0.84 | 0.46 |" in page


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("gpt", "training", "recipe", "steps"), 5, "model: steps"),
        (("tokenizer", "training", "recipe", "steps"), 5, "tokenizer: steps"),
        (("gpt", "training", "views"), 10, "views of each"),
        (("per_class",), 5, "images of each class"),
        (("scores", "setting", "reference"), "other", "reference"),
        (("scores", "setting", "extractor"), "other", "features"),
        (("scores", "setting", "n_samples"), 9, "images measured"),
    ],
)
def test_results_of_other_settings_are_not_compared(module, folder, place, value, named):
    document = copy.deepcopy(results("vanilla_provq", 1, (1.0, 2.0)))
    entry = document
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    write(folder, document)
    with pytest.raises(ConfigError, match=rf"vanilla_provq\.1: not comparable with .*{named} is"):
        module("results").load_all(folder)


def test_a_changed_page_or_figure_is_stale(module, folder, tmp_path, capsys):
    words = ["--results", str(folder), "--page", str(tmp_path / "page.md")]
    table = module("table").main
    assert table([*words, "--check"]) == 1
    assert table(words) == 0
    assert table([*words, "--check"]) == 0
    write(folder, results("vanilla_provq", 1, (99.0, 98.0), kept=62.0))
    capsys.readouterr()
    assert table([*words, "--check"]) == 1
    stale = capsys.readouterr().err
    assert "page.md: does not show" in stale
    assert "vision_generation_guidance.svg: does not show" in stale
    assert "vision_generation_curves" not in stale


def test_a_page_without_the_pictured_seed_names_no_picture(module, folder, tmp_path):
    for row in ("vanilla", "vanilla_provq"):
        (folder / f"{row}.0.json").unlink()
    assert module("table").main(["--results", str(folder), "--page", str(tmp_path / "p.md")]) == 0
    assert "vision_generation_samples" not in (tmp_path / "p.md").read_text()
    assert not (tmp_path / "vision_generation_samples.png").exists()


def test_a_folder_without_results_is_refused(module, tmp_path, capsys):
    assert module("table").main(["--results", str(tmp_path), "--page", str(tmp_path / "p.md")]) == 2
    assert "measure.py" in capsys.readouterr().err


def test_the_committed_page_shows_the_committed_results(module, capsys):
    assert module("table").main(["--check"]) == 0, capsys.readouterr().err


def test_the_committed_times_are_those_of_the_results(capsys):
    page = importlib.import_module("image_scale.page")
    assert page.main(["--check"]) == 0, capsys.readouterr().err
