"""Are image tokenizers measured as the page says, and does the page say what the results hold?"""

import copy
import dataclasses
import functools
import importlib
import json
import shutil
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("PIL", reason="images need the extra 'vision'")

from PIL import Image

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.runs.config import to_mapping
from provq_vision.cli import evaluate as eval_command
from provq_vision.images.crops import center_crop
from provq_vision.images.decoding import decode_image
from provq_vision.images.listing import open_images
from provq_vision.metrics.evaluation import evaluate
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
    return lambda name: importlib.import_module(f"image_tokenizers.{name}")


# ------------------------------------------------------------------------------------- measuring


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with three splits of two classes."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 6), ("test", 12)):
        for label in ("cat", "dog"):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                large = Image.fromarray(coarse).resize((SIDE, SIDE))
                large.save(place / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def trained(module, data, tmp_path_factory):
    """Return run folder and results of one row, made by the one command."""
    folder = tmp_path_factory.mktemp("row")
    code = module("row").main(
        [
            *("--preset", "vanilla+provq", "--seed", "0", "--recipe", "smoke"),
            *("--data", str(data), "--output", str(folder / "any_name")),
            *("--set", "curriculum.shape=hard", "--set", "loss.adversarial_weight=0.0"),
            *options(folder, images=10),
        ]
    )
    assert code == 0
    return folder / "any_name", folder / "results"


def options(folder, *, images):
    results, cache = str(folder / "results"), str(folder / "cache")
    return ["--images", str(images), "--features", "none", "--results", results, "--cache", cache]


def again(module, run, data, results, *more, images=10):
    words = [str(run), "--data", str(data), *options(results.parent, images=images), *more]
    return module("measure").main(words)


def read(path):
    return json.loads(path.read_text())


def test_a_row_is_trained_and_named_after_its_recipe(trained):
    run, results = trained
    names = sorted(path.name for path in results.iterdir())
    assert names == ["originals.png", "vanilla_provq_hard.0.json", "vanilla_provq_hard.0.png"]
    found = read(results / "vanilla_provq_hard.0.json")
    assert (found["preset"], found["scheduler"], found["seed"]) == ("vanilla+provq", "hard", 0)
    assert found["training"] == read(run / "model" / "config.json")["training"]


def test_the_numbers_are_those_of_the_model_on_spread_images(trained, data):
    run, results = trained
    found = read(results / "vanilla_provq_hard.0.json")["evaluation"]
    images = eval_command._limited(open_images(data, split="test"), 10)
    expected = evaluate(ImageAutoencoder.load(run / "model"), images, size=SIDE).to_json()
    assert found == expected
    assert found["setting"]["n_images"] == 10
    # The first ten names are all of one class.
    assert {name.split("/")[0] for name in images.names} == {"cat", "dog"}


def test_the_pictures_are_photographs_and_their_reconstructions(module, trained):
    run, results = trained
    picture = read(results / "vanilla_provq_hard.0.json")["picture"]
    photographs = module("pictures").photographs()
    assert picture["images"] == list(photographs.names)
    assert len(picture["images"]) == 8
    read_strip = module("pictures").read
    originals = read_strip(results, picture["originals"])
    decoded = read_strip(results, picture["reconstructions"])
    model = ImageAutoencoder.load(run / "model")
    for place, name in enumerate(picture["images"]):
        left = place * (SIDE + 2)
        pixels = center_crop(decode_image(photographs.read(place), name=name), SIDE)
        assert (originals[:, left : left + SIDE] == pixels).all()
        batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1.0
        with torch.no_grad():
            one = model.decode(model.encode(batch))[0].permute(1, 2, 0)
        expected = (127.5 * one + 127.5).clamp(0, 255)
        shown = torch.from_numpy(decoded[:, left : left + SIDE].copy()).float()
        assert (shown - expected).abs().max() < 0.6


def test_no_file_names_a_folder_of_the_machine(trained, data):
    run, results = trained
    text = (results / "vanilla_provq_hard.0.json").read_text()
    assert str(data) not in text
    assert str(run.parent) not in text
    assert str(run.parent.parent) not in text


def test_a_measured_run_is_left_alone_until_something_changes(
    module, trained, data, tmp_path, capsys
):
    run, done = trained
    shutil.copytree(done, tmp_path / "results")
    path = tmp_path / "results" / "vanilla_provq_hard.0.json"
    marked = read(path) | {"machine": "marked"}
    path.write_text(json.dumps(marked))
    assert again(module, run, data, path.parent) == 0
    assert "is current" in capsys.readouterr().out
    assert read(path) == marked

    assert again(module, run, data, path.parent, "--again") == 0
    assert read(path)["machine"] != "marked"

    other = copy.deepcopy(marked)
    other["model"]["weights_sha256"] = "0" * 64
    path.write_text(json.dumps(other))
    assert again(module, run, data, path.parent) == 0
    assert read(path)["machine"] != "marked"

    path.write_text(json.dumps(marked))
    assert again(module, run, data, path.parent, images=7) == 0
    assert read(path)["evaluation"]["setting"]["n_images"] == 7


def test_results_with_other_features_are_not_current(module, make_run, tmp_path):
    results = module("results")
    run, path = make_run("vanilla", 0), tmp_path / "r" / "vanilla.0.json"
    subject = results.subject_of(run)
    assert subject.extractor == "toy"
    assert results.is_current(path, subject)
    for change in ({"extractor": None}, {"images": "y"}, {"size": 1}, {"weights_sha256": "y"}):
        assert not results.is_current(path, dataclasses.replace(subject, **change))


def test_an_unreadable_test_image_is_named_and_the_rest_measured(
    module, trained, data, tmp_path, capsys
):
    run, _ = trained
    damaged = tmp_path / "images"
    shutil.copytree(data, damaged)
    (damaged / "test" / "dog" / "05.png").write_bytes(b"no picture")
    assert again(module, run, damaged, tmp_path / "results", images=24) == 1
    assert "dog/05.png: " in capsys.readouterr().err
    found = read(tmp_path / "results" / "vanilla_provq_hard.0.json")["evaluation"]
    assert (found["setting"]["n_images"], found["setting"]["n_unreadable"]) == (23, 1)


def test_two_runs_of_one_row_and_seed_are_refused(module, trained, tmp_path):
    run, _ = trained
    shutil.copytree(run, tmp_path / "twin")
    with pytest.raises(ConfigError, match=r"both are vanilla_provq_hard\.0"):
        module("measure").plan([run, tmp_path / "twin"], tmp_path)


def test_an_unfinished_run_is_refused(module, data, tmp_path, capsys):
    (tmp_path / "begun").mkdir()
    with pytest.raises(CheckpointError, match="begun"):
        module("measure").plan([tmp_path / "begun"], tmp_path)
    assert again(module, tmp_path / "begun", data, tmp_path / "results") == 2
    assert "measure.py: error:" in capsys.readouterr().err


def test_a_training_that_fails_is_not_measured(module, data, tmp_path, monkeypatch):
    monkeypatch.setattr(module("row"), "train", lambda args: 2)
    words = ["--preset", "vanilla", "--seed", "0", "--data", str(data)]
    words += ["--output", str(tmp_path / "run"), *options(tmp_path, images=4)]
    assert module("row").main(words) == 2
    # It diverged; and it says that it ended well, but left nothing.
    for code, expected in ((1, 1), (0, 2)):
        monkeypatch.setattr(module("row"), "train", lambda args, code=code: code)
        assert module("row").main(words) == expected
    assert not (tmp_path / "results").exists()


def test_long_logs_are_averaged_and_cut_lines_left_out(module, tmp_path):
    lines = [
        {"step": step, "kind": "train", "loss_pixel": float(step), "codebook_loss": 0.5}
        for step in range(1000)
    ]
    lines.append({"step": 999, "kind": "validation", "psnr": 20.0, "continuous": False})
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 1000, "ki')
    read_curves = importlib.import_module("reporting.curves").read_curves
    kept = {"train": ("loss_pixel", "latent_norm"), "validation": ("psnr", "utilization")}
    curves = read_curves(path, **kept)
    assert (curves["window"], len(curves["train"]["step"])) == (10, 100)
    assert curves["train"]["loss_pixel"][:2] == curves["train"]["step"][:2] == [4.5, 14.5]
    assert curves["train"]["latent_norm"] == [None] * 100
    assert curves["validation"]["psnr"] == [20.0]
    assert curves["validation"]["utilization"] == [None]


class CountingFeatures:
    """Means of the channels, and how many images they were asked for."""

    id = "counting"
    weights_sha256 = "0" * 64
    dim = 3

    def __init__(self):
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        return images.double().mean(dim=(2, 3))


def test_features_of_the_originals_are_computed_once(module, data, tmp_path):
    images, extractor = open_images(data, split="test"), CountingFeatures()
    load = module("reference").load_reference

    def reference(chosen, size=SIDE):
        return load(chosen, extractor=extractor, size=size, batch_size=8, cache=tmp_path / "c")

    first, second = reference(images), reference(images)
    assert extractor.images == 24
    assert first.mean.equal(second.mean)
    # Another set, and another size, are other features.
    assert reference(images.select(range(4))).count == 4
    reference(images, size=16)
    assert extractor.images == 24 + 4 + 24
    for path in (tmp_path / "c").iterdir():
        path.write_bytes(b"damaged")
    assert reference(images).mean.equal(first.mean)


# ------------------------------------------------------------------------------------------- rows


def test_the_options_of_each_row_make_it(module):
    rows = module("rows")
    for key, row in rows.ROWS.items():
        words = row.options.split()
        recipe = load_recipe("tiny_imagenet_64", words[3::2], preset=words[1])
        assert rows.row_of(to_mapping(recipe)) is row
        assert row.key == key
        assert row.baseline is None or row.baseline in rows.ROWS


def test_the_scheduler_counts_only_where_something_is_soft(module):
    row_of = module("rows").row_of
    hard = {"curriculum": {"shape": "hard"}}
    assert row_of({"preset": "vanilla", **hard}).key == "vanilla"
    assert row_of({"preset": "vanilla+warmup", **hard}).key == "vanilla_warmup"
    assert row_of({"preset": "vanilla+soft", **hard}).key == "vanilla_soft_hard"
    with pytest.raises(ConfigError, match="'vanila' is unknown"):
        row_of({"preset": "vanila", **hard})


# ----------------------------------------------------------------------------------- the comparison


@pytest.fixture(scope="module")
def write_run(trained):
    """Return a function that writes results like the measured ones, with other scores."""
    _, done = trained
    template = read(done / "vanilla_provq_hard.0.json")

    def write(
        folder, row, seed, *, preset=None, shape="cosine", rfid=100.0, psnr=20.0, perplexity=50.0
    ):
        run = copy.deepcopy(template)
        preset = preset or row.replace("_", "+")
        run |= {"row": row, "seed": seed, "preset": preset, "scheduler": shape}
        run["training"]["recipe"] |= {"preset": preset, "seed": seed}
        run["training"]["recipe"]["curriculum"]["shape"] = shape
        run["evaluation"]["fidelity"] |= {"psnr": psnr, "ssim_llamagen": 0.5}
        run["evaluation"]["codes"][0]["group_perplexity"] = perplexity
        run["evaluation"]["frechet"] = {
            "rfid": rfid,
            "extractor": "toy",
            "weights_sha256": "0" * 64,
            "reference": "x",
            "is_paired": False,
            "n_images": 10,
            "n_reference": 10,
        }
        folder.mkdir(exist_ok=True)
        if seed == 0:
            for name in ("originals.png", "vanilla_provq_hard.0.png"):
                shutil.copy(done / name, folder)
        else:
            run["picture"] = None
        (folder / f"{row}.{seed}.json").write_text(json.dumps(run))
        return run

    return write


@pytest.fixture
def make_run(write_run, tmp_path):
    """Return the same for the folder of one test."""
    return functools.partial(write_run, tmp_path / "r")


@pytest.fixture(scope="module")
def results_folder(write_run, tmp_path_factory):
    """Return results of which ProVQ has a better rFID, a worse PSNR and an undecided perplexity."""
    folder = tmp_path_factory.mktemp("comparison") / "r"
    for seed in (0, 1):
        write_run(folder, "vanilla", seed, rfid=100.0 + seed)
        better, worse = 90.0 + 2 * seed, 19.5 - seed
        use = 51.0 if seed else 49.0
        write_run(folder, "vanilla_provq", seed, rfid=better, psnr=worse, perplexity=use)
    write_run(folder, "simvq", 0, rfid=120.0)
    return folder


@pytest.fixture
def comparison(module, results_folder, tmp_path):
    shutil.copytree(results_folder, tmp_path / "r")
    return module("results").load_all(tmp_path / "r")


def joined(module, comparison):
    return "\n".join(module("findings").sentences(comparison))


def test_the_differences_are_paired_by_seed(module, comparison):
    gaps = module("estimates").differences(comparison, "vanilla_provq", "vanilla", "rfid")
    assert gaps == {0: -10.0, 1: -9.0}
    # Seeds that only one of them has are left out.
    del comparison["vanilla"][0]
    gaps = module("estimates").differences(comparison, "vanilla_provq", "vanilla", "rfid")
    assert gaps == {1: -9.0}


def test_sentences_say_where_provq_is_better_worse_or_neither(module, comparison):
    text = joined(module, comparison)
    assert (
        "Vanilla + both (ProVQ) against Vanilla: rFID better with every seed (-10.0 and -9.0"
        in (text)
    )
    assert "PSNR worse with every seed (-0.50 and -1.50 dB" in text
    assert "perplexity higher with 1 and lower with 1 of 2 seeds (-1.0 and +1.0" in text
    assert "SSIM no difference (0.000 and 0.000" in text
    # The paper's own difference, 3.33 - 3.81.
    assert "(-10.0 and -9.0; paper -0.48)" in text


def test_a_difference_within_the_seeds_of_a_row_is_called_so(module, make_run, tmp_path):
    for seed, base in ((0, 100.0), (1, 130.0)):
        make_run("vanilla", seed, rfid=base)
        make_run("vanilla_provq", seed, rfid=base - 5.0)
    text = joined(module, module("results").load_all(tmp_path / "r"))
    assert "(-5.0 and -5.0, less than seeds of one row differ by; paper -0.48)" in text


def test_a_difference_that_rounds_to_zero_is_none(module, make_run, tmp_path):
    make_run("vanilla", 0, rfid=100.0, psnr=20.0)
    make_run("vanilla_provq", 0, rfid=99.96, psnr=20.01)
    comparison = module("results").load_all(tmp_path / "r")
    assert "rFID no difference (0.0; paper" in joined(module, comparison)
    assert "PSNR better with the one seed (+0.01 dB" in joined(module, comparison)
    assert (
        "rFID: Vanilla + both (ProVQ) is not better with every seed than Vanilla (0.0)."
        in module("findings").negatives(comparison)
    )


def test_negative_results_are_named(module, comparison, make_run, tmp_path):
    found = module("findings").negatives(comparison)
    assert "PSNR: Vanilla + both (ProVQ) is worse than Vanilla (-0.50 and -1.50)." in found
    assert any(one.startswith("perplexity: Vanilla + both (ProVQ) is not higher") for one in found)
    assert not any(one.startswith("rFID") for one in found)
    page = module("report").document(comparison, "")
    assert all(one in page for one in found)

    # ProVQ against one part of it.
    for seed in (0, 1):
        make_run("vanilla_warmup", seed, rfid=80.0)
    found = module("findings").negatives(module("results").load_all(tmp_path / "r"))
    assert (
        "rFID: Vanilla + both (ProVQ) is worse than Vanilla + manifold warm-up (+10.0 and +12.0)."
        in found
    )


def test_a_collapsed_row_is_called_so(module, make_run, tmp_path):
    for seed, used in ((0, 0.02), (1, 0.05)):
        run = make_run("vanilla", seed, perplexity=1.6)
        run["evaluation"]["codes"][0]["utilization"] = used
        (tmp_path / "r" / f"vanilla.{seed}.json").write_text(json.dumps(run))
        run = make_run("vanilla_provq", seed)
        run["evaluation"]["codes"][0]["utilization"] = 10 * used
        (tmp_path / "r" / f"vanilla_provq.{seed}.json").write_text(json.dumps(run))
    text = joined(module, module("results").load_all(tmp_path / "r"))
    # 7,123.79 of 16,384 codes, and 1.6 of 32.
    assert (
        "Vanilla has collapsed: it uses 2.0 and 5.0 % of its codes. The paper's has not: its"
        in (text)
    )
    assert "43% of the number of codes, here 5%." in text
    assert text.count("has collapsed") == 1


def test_the_order_of_rows_is_compared_with_the_papers(module, comparison):
    # Of rFIDs 120, 100.5 and 91, for which the paper has 4.08, 3.81 and 3.33. ProVQ's PSNR is best
    # in the paper, and here the worst; those of the others are equal.
    text = joined(module, comparison)
    assert "in the paper's order: 3 of 3 by rFID, 0 of 3 by PSNR" in text


def test_at_a_glance_the_papers_word_stands_where_it_is_another(module, comparison):
    header, rows = module("tables").glance_table(comparison)
    (cells,) = (dict(zip(header, row, strict=True)) for row in rows)
    assert (cells["seeds"], cells["rFID"]) == ("2", "better")
    assert cells["SSIM"] == "no difference (paper: better)"
    assert cells["PSNR"] == "worse (paper: better)"
    assert cells["perplexity"] == "undecided (paper: higher)"


def test_the_scheduler_has_its_table_where_it_was_measured(module, comparison, make_run, tmp_path):
    assert module("tables").scheduler_table(comparison) is None
    assert "Both schedulers have not been measured" in module("report").document(comparison, "")
    for seed in (0, 1):
        make_run("vanilla_provq_hard", seed, preset="vanilla+provq", shape="hard", rfid=95.0)
    more = module("results").load_all(tmp_path / "r")
    (header, rows), (_, gaps) = module("tables").scheduler_table(more)
    assert dict(zip(header, rows[1], strict=True))["rFID, paper"] == "3.40"
    assert rows[0][2:4] == ["91.0 (90.0; 92.0)", "3.23"]
    assert gaps[0][2:4] == ["-4.0 (-5.0; -3.0)", "-0.17"]
    text = joined(module, more)
    assert "cosine against hard (Table 6). Vanilla + both (ProVQ) against Vanilla + both, hard" in (
        text
    )


def test_the_paper_stands_beside_its_rows_only(module, comparison, make_run, tmp_path):
    make_run("ema", 0)
    make_run("rotation", 0)
    header, rows = module("tables").score_table(module("results").load_all(tmp_path / "r"))
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert list(cells)[:2] == ["SimVQ", "Vanilla"]
    assert list(cells)[-1] == "rotation"
    assert cells["Vanilla"]["rFID ↓"] == "100.5 (100.0; 101.0)"
    assert cells["Vanilla"]["rFID, paper"] == "3.81"
    assert cells["SimVQ"]["rFID ↓"] == "120.0"
    assert cells["Vanilla, codes by moving average"]["rFID, paper"] == ""


def test_the_page_says_what_is_missing_and_what_seeds_are_worth(module, comparison):
    page = module("report").document(comparison, "")
    assert "Not measured: SimVQ + soft transition; Vanilla + soft transition;" in page
    assert "SimVQ: measured with seed 0 only, not with seed 1." in page
    assert "2 seeds are no test" in page
    assert "in one of 2 cases" in page
    assert "cannot be compared in level, only in order" in page


def test_one_seed_is_called_one_seed(module, make_run, tmp_path):
    make_run("vanilla", 0)
    make_run("vanilla_provq", 0, rfid=90.0)
    comparison = module("results").load_all(tmp_path / "r")
    assert "rFID better with the one seed (-10.0; paper" in joined(module, comparison)
    assert module("findings").caution(comparison).startswith("There is one seed")


def test_runs_with_other_settings_or_images_are_not_compared(module, make_run, tmp_path):
    make_run("vanilla", 0)
    for change, message in (
        (lambda run: run["training"]["recipe"].update(steps=17), "steps is 17, not 24"),
        (lambda run: run["training"].update(data_hash="y"), "training images is y"),
        (lambda run: run["evaluation"]["setting"].update(images="y"), "test images is y"),
        (lambda run: run["evaluation"]["frechet"].update(extractor="y"), "features is y, not toy"),
    ):
        run = make_run("vanilla", 1)
        change(run)
        (tmp_path / "r" / "vanilla.1.json").write_text(json.dumps(run))
        with pytest.raises(ConfigError, match=rf"vanilla\.1: not comparable .*{message}"):
            module("results").load_all(tmp_path / "r")


def test_a_folder_without_results_and_a_file_that_is_none_are_refused(module, tmp_path, capsys):
    with pytest.raises(ConfigError, match="contains no results"):
        module("results").load_all(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    assert module("table").main(["--results", str(tmp_path), "--page", str(tmp_path / "p.md")]) == 2
    assert "is no results file" in capsys.readouterr().err


# ----------------------------------------------------------------------------- the page is current


@pytest.fixture(scope="module")
def written_once(module, results_folder, tmp_path_factory):
    """Return a folder with results, and the page and figures written from them."""
    pytest.importorskip("matplotlib", reason="the figures need the extra provq[plot]")
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(results_folder, folder / "r")
    words = page_options(folder)
    assert module("table").main([*words, "--check"]) == 1
    assert module("table").main(words) == 0
    assert module("table").main([*words, "--check"]) == 0
    return folder


@pytest.fixture
def written(written_once, tmp_path):
    """Return the options of a page that has been written, in the folder of one test."""
    shutil.copytree(written_once, tmp_path, dirs_exist_ok=True)
    return page_options(tmp_path)


def page_options(folder):
    return ["--results", str(folder / "r"), "--page", str(folder / "docs" / "page.md")]


def test_a_changed_page_is_stale(module, written, tmp_path, capsys):
    page = tmp_path / "docs" / "page.md"
    page.write_text(page.read_text().replace("worse", "better"))
    assert module("table").main([*written, "--check"]) == 1
    assert "page.md: does not show the current results" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "stale", "fresh"),
    [
        (
            lambda run: run["curves"]["validation"]["psnr"].__setitem__(0, 1.0),
            "curves.svg",
            "page.md",
        ),
        (
            lambda run: run["evaluation"]["fidelity"].update(psnr=1.0),
            "page.md",
            "curves.svg",
        ),
        (
            lambda run: run["picture"]["reconstructions"].update(sha256="0"),
            "reconstructions.png",
            "curves.svg",
        ),
    ],
)
def test_what_shows_changed_results_is_stale(
    module, written, tmp_path, capsys, change, stale, fresh
):
    path = tmp_path / "r" / "vanilla_provq.0.json"
    run = read(path)
    change(run)
    path.write_text(json.dumps(run))
    assert module("table").main([*written, "--check"]) == 1
    told = capsys.readouterr().err
    assert stale in told
    assert fresh not in told


def test_a_picture_that_is_not_the_measured_one_is_refused(module, written, tmp_path, capsys):
    shutil.copy(tmp_path / "r" / "originals.png", tmp_path / "r" / "vanilla_provq_hard.0.png")
    assert module("table").main(written) == 2
    assert "is not the picture that its results name" in capsys.readouterr().err


def test_pictures_of_different_images_are_refused(module, written, tmp_path, capsys):
    path = tmp_path / "r" / "vanilla_provq.0.json"
    run = read(path)
    run["picture"]["originals"]["sha256"] = "0"
    path.write_text(json.dumps(run))
    assert module("table").main(written) == 2
    assert "are of different images" in capsys.readouterr().err


def test_the_figure_of_reconstructions_has_a_line_per_row(module, written, tmp_path):
    with Image.open(tmp_path / "docs" / "vision_tokenizer_reconstructions.png") as image:
        width, height = image.size
    # Originals and three rows, at twice the size.
    assert height == pytest.approx(4 * (2 * SIDE + 6), abs=8)
    assert width > 2 * (8 * (SIDE + 2) - 2)


def test_the_committed_page_shows_the_committed_results(module, repo_root, capsys):
    if not list((repo_root / "benchmarks" / "image_tokenizers" / "results").glob("*.json")):
        pytest.skip("no results are committed")
    assert module("table").main(["--check"]) == 0, capsys.readouterr().err


def test_curves_of_seeds_are_averaged_where_all_have_a_value(module):
    runs = [
        {"curves": {"validation": {"step": [0, 1, 2], "psnr": [3.0, None, 1.0]}}},
        {"curves": {"validation": {"step": [0, 1, 2], "psnr": [5.0, 4.0, 2.0]}}},
    ]
    band = module("figures").band(runs, "validation", "psnr")
    assert band == ([0, 2], [4.0, 1.5], [3.0, 1.0], [5.0, 2.0])
