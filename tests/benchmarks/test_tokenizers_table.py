"""Are tokenizers measured as the page says, and does the page say what the results hold?"""

import copy
import importlib
import json
import shutil
import sys

import numpy as np
import pytest
import torch

from provq_protein import StructureTokenizer
from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.geometry.similarity import lddt_ca, rmsd
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.training.config import load_recipe
from provq_protein.training.store import save_store
from provq_protein.training.trainer import Trainer


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, before a package of the same name."""
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def module():
    return lambda name: importlib.import_module(f"tokenizer_comparison.{name}")


# ------------------------------------------------------------------------------------- measuring


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_store):
    """Return a folder with the store, two structure files and an array file of two chains."""
    folder = tmp_path_factory.mktemp("data")
    save_store(folder / "chains.h5", tiny_store, provenance="test")
    (folder / "targets").mkdir()
    chains = [tiny_store.backbone(row) for row in range(4)]
    for number, chain in enumerate(chains[1:3]):
        named = Backbone.from_arrays(chain.coords, sequence="A" * len(chain))
        write_backbone(folder / "targets" / f"target{number}.cif", named)
    lengths = [len(chain) for chain in chains]
    coords = np.concatenate([chain.coords for chain in chains])
    np.savez(
        folder / "backbones.npz",
        # Hundredths of an Angstrom; the smallest number stands for a missing atom.
        coords=np.nan_to_num(100.0 * coords, nan=-32768).round().astype(np.int16),
        offsets=np.cumsum([0, *lengths]),
        seq=np.frombuffer(b"A" * sum(lengths), dtype="S1"),
        resnum=np.concatenate([chain.author_numbers for chain in chains]),
        pdb=np.array([f"rec{row}" for row in range(4)]),
        chain=np.array(["A"] * 4),
    )
    (folder / "sets.json").write_text(json.dumps({"cameo2022": [0, 3]}))
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, tiny_store):
    """Return a finished run of the smoke recipe, which has the whole curriculum."""
    folder = tmp_path_factory.mktemp("runs") / "any_name"
    Trainer(load_recipe("smoke"), tiny_store, folder).run()
    return folder


@pytest.fixture(scope="module")
def measured(module, data, run_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("measured")
    assert module("measure").main(command(data, run_folder, output)) == 0
    return output


def command(data, run, output):
    options = {
        "--store": data / "chains.h5",
        "--casp14": data / "targets",
        "--arrays": data / "backbones.npz",
        "--sets": data / "sets.json",
        "--output-folder": output,
    }
    return [str(run), *(str(word) for pair in options.items() for word in pair)]


def test_a_run_is_named_after_its_recipe_and_not_its_folder(measured):
    assert [path.name for path in measured.iterdir()] == ["vanilla_vq_provq.0.json"]


def test_the_results_are_those_of_the_model(module, measured, run_folder, tiny_store):
    results = module("results").load(measured / "vanilla_vq_provq.0.json")
    tokenizer = StructureTokenizer.from_pretrained(run_folder / "model")
    chains = [tiny_store.backbone(int(one)) for one in tiny_store.select("validation")]
    tokens = tokenizer.encode(chains)
    decoded = tokenizer.decode(tokens)
    found = results["sets"]["validation"]
    for chain, back, row in zip(chains, decoded, found["chains"]["rows"], strict=True):
        known = chain.resolved
        assert row[1] == known.sum()
        assert row[2] == pytest.approx(rmsd(back.coords[known], chain.coords[known]), abs=1e-4)
        expected = lddt_ca(back.coords[known, 1], chain.coords[known, 1])
        assert row[5] == pytest.approx(expected, abs=1e-4)
    usage = CodeUsage(tokenizer.codebook_size)
    for one in tokens:
        usage.add(torch.tensor(one.ids[one.resolved], dtype=torch.int64))
    assert found["usage"]["tokens"] == usage.total
    assert found["usage"]["utilization"] == pytest.approx(usage.utilization, rel=1e-5)
    # Three chains: eight at a time is the pooled set, one at a time is less.
    assert found["batch_usage"]["8"]["batches"] == 1
    assert found["batch_usage"]["8"]["perplexity"] == pytest.approx(usage.perplexity, rel=1e-5)
    assert found["batch_usage"]["1"]["batches"] == 3
    assert found["batch_usage"]["1"]["utilization"] <= found["usage"]["utilization"]
    assert results["model"]["fingerprint"] == tokenizer.fingerprint
    picture = results["picture"]
    assert len(picture["codes"]["x"]) == len(picture["used"]) == tokenizer.codebook_size
    assert sum(picture["used"]) == (usage.counts > 0).sum()


def test_the_curves_are_those_of_the_log(module, measured, run_folder):
    curves = module("results").load(measured / "vanilla_vq_provq.0.json")["curves"]
    events = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["kind"] == "train"]
    assert curves["train"]["step"] == [event["step"] for event in steps]
    assert curves["train"]["loss"] == pytest.approx([event["loss"] for event in steps], abs=1e-5)
    checks = [event for event in events if event["kind"] == "validation"]
    assert curves["validation"]["rmsd"] == pytest.approx([e["rmsd"] for e in checks], abs=1e-5)


def test_long_logs_are_averaged_and_cut_lines_left_out(module, tmp_path):
    lines = [
        {"step": step, "kind": "train", "loss": float(step), "codebook_loss": 0.5}
        for step in range(400)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 400, "ki')
    curves = module("curves").read_curves(path)
    assert (curves["window"], len(curves["train"]["step"])) == (5, 80)
    assert curves["train"]["loss"] == curves["train"]["step"]
    assert curves["train"]["batch_utilization"] == [None] * 80


def test_no_file_names_a_folder_of_the_machine(measured, data, run_folder):
    text = (measured / "vanilla_vq_provq.0.json").read_text()
    assert str(data) not in text
    assert str(run_folder.parent) not in text


def test_a_measured_run_is_left_alone_until_its_weights_change(
    module, data, run_folder, measured, tmp_path, capsys
):
    output = tmp_path / "results"
    shutil.copytree(measured, output)
    path = output / "vanilla_vq_provq.0.json"
    path.write_text(path.read_text() + "\n")
    before = path.read_text()
    assert module("measure").main(command(data, run_folder, output)) == 0
    assert path.read_text() == before
    assert "is current" in capsys.readouterr().out

    changed = json.loads(before)
    changed["model"]["weights_sha256"] = "0" * 64
    path.write_text(json.dumps(changed))
    assert module("measure").main(command(data, run_folder, output)) == 0
    assert json.loads(path.read_text()) == json.loads(before)


def test_other_chains_are_measured_anew(module, data, run_folder, measured, tmp_path):
    output = tmp_path / "results"
    shutil.copytree(measured, output)
    assert module("measure").main([*command(data, run_folder, output), "--limit", "1"]) == 0
    (path,) = output.iterdir()
    sets = module("results").load(path)["sets"]
    assert [one["chain_count"] for one in sets.values()] == [1, 1, 1]


def test_two_runs_of_one_variant_and_seed_are_refused(module, run_folder, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(run_folder, twin)
    with pytest.raises(ConfigError, match=r"both are vanilla_vq_provq\.0"):
        module("measure").plan([run_folder, twin], tmp_path)


def test_an_unfinished_run_is_refused(module, tmp_path, data, capsys):
    (tmp_path / "begun").mkdir()
    with pytest.raises(CheckpointError, match="begun"):
        module("measure").plan([tmp_path / "begun"], tmp_path)
    assert module("measure").main(command(data, tmp_path / "begun", tmp_path)) == 2
    assert "measure.py: error:" in capsys.readouterr().err


# -------------------------------------------------------------------------------------- variants


@pytest.mark.parametrize(
    ("recipe", "changes", "expected"),
    [
        ("vanilla_vq", [], "vanilla_vq"),
        ("aminoaseed", [], "aminoaseed"),
        ("vanilla_vq_provq", [], "vanilla_vq_provq"),
        ("aminoaseed_provq", [], "aminoaseed_provq"),
    ],
)
def test_the_recipes_are_their_variants(module, recipe, changes, expected):
    assert variant(module, recipe, changes) == expected


def test_the_options_of_each_variant_make_it(module):
    for key, one in module("variants").VARIANTS.items():
        words = one.options.split()
        assert words[0] == "--recipe"
        assert words[2::2] == ["--set"] * len(words[2::2])
        assert variant(module, words[1].removeprefix("small_"), words[3::2]) == key


def test_a_run_that_is_no_variant_is_refused(module):
    with pytest.raises(ConfigError, match=r"no variant of the comparison.*linear"):
        variant(module, "vanilla_vq_provq", ["schedule.shape=linear"])


def test_all_variants_share_everything_else(module):
    common = module("variants").common_settings
    settings = [
        common(mapping(load_recipe(words[1], words[3::2])))
        for words in (one.options.split() for one in module("variants").VARIANTS.values())
    ]
    assert len(settings) == 12
    assert all(one == settings[0] for one in settings)


def variant(module, recipe, changes):
    config = load_recipe(f"small_{recipe}", changes)
    return module("variants").variant_of(mapping(config), where="x")


def mapping(config):
    from provq_protein.runs.config import to_mapping

    return to_mapping(config)


# ---------------------------------------------------------------------------------- the comparison


@pytest.fixture
def make_run(measured):
    """Return a function that makes results like the measured ones, with other scores."""
    template = json.loads((measured / "vanilla_vq_provq.0.json").read_text())

    def make(folder, variant, seed, *, shift=0.0, utilization=0.5):
        run = copy.deepcopy(template)
        run |= {"variant": variant, "seed": seed}
        for part in run["sets"].values():
            part["usage"]["utilization"] = utilization
            # Enough chains for an interval.
            rows = [
                [f"chain{number}", 50, 5.0 + number / 10 + shift, 9.0, 0.5, 0.6]
                for number in range(20)
            ]
            part["chains"]["rows"] = rows
        folder.mkdir(exist_ok=True)
        (folder / f"{variant}.{seed}.json").write_text(json.dumps(run))
        return run

    return make


@pytest.fixture
def comparison(module, make_run, tmp_path):
    """Return results of which ProVQ is 1 Angstrom better for VanillaVQ and worse for AminoAseed."""
    for seed in (0, 1, 2):
        spread = 0.01 * seed
        make_run(tmp_path / "r", "vanilla_vq", seed, utilization=0.1 + spread)
        make_run(tmp_path / "r", "vanilla_vq_provq", seed, shift=-1.0 + spread)
        make_run(tmp_path / "r", "aminoaseed", seed)
        make_run(tmp_path / "r", "aminoaseed_provq", seed, shift=1.0 + spread)
    return module("results").load_all(tmp_path / "r")


def test_the_differences_are_paired_by_chain_and_seed(module, comparison):
    found = module("estimates").difference(
        comparison, "vanilla_vq_provq", "vanilla_vq", "casp14", "rmsd"
    )
    assert (found.chains, found.seeds) == (20, 3)
    assert found.median == pytest.approx(-0.99)
    low, high = found.interval
    # Chains differ by up to 1.9 Angstrom; paired, only the seeds are left.
    assert low >= -1.0 - 1e-9
    assert low <= found.median <= high <= -0.98 + 1e-9


def test_the_interval_of_a_median_is_over_chains(module, comparison):
    low, high = module("estimates").median_interval(comparison, "vanilla_vq", "casp14", "rmsd")
    assert 5.0 <= low < 5.95 < high <= 6.9


def test_sentences_say_where_provq_is_worse(module, comparison):
    text = "\n".join(module("findings").sentences(comparison))
    assert (
        "CASP14, RMSD: VanillaVQ + ProVQ is better than VanillaVQ (median difference -0.99" in text
    )
    assert "CASP14, RMSD: AminoAseed + ProVQ is worse than AminoAseed" in text
    assert "TM-score: AminoAseed + ProVQ is not clearly different from AminoAseed" in text
    assert "0.500 against 0.110 on CASP14 (higher with every seed)" in text


def test_provq_is_compared_with_its_parts(module, make_run, tmp_path):
    for key in ("vanilla_vq_provq", "vanilla_vq_provq.warmup"):
        for seed in (0, 1):
            make_run(tmp_path / "r", key, seed)
    found = module("findings").sentences(module("results").load_all(tmp_path / "r"))
    start = "CASP14, VanillaVQ + ProVQ against VanillaVQ + warm-up only, 2 seeds: RMSD "
    assert sum(one.startswith(start) for one in found) == 1
    assert not any("soft transition only" in one for one in found)


def test_the_tables_show_median_and_range_over_seeds(module, comparison):
    header, rows = module("tables").set_table(comparison, "casp14")
    row = dict(zip(header, rows[0], strict=True))
    assert row["tokenizer"] == "VanillaVQ"
    assert row["seeds"] == "3"
    assert row["codes used (%)"] == "11.0 (10.0 to 12.0)"
    assert row["RMSD (Å)"].startswith("5.95 (5.95 to 5.95) [5.")


def test_the_paper_stands_beside_its_models_only(module, comparison):
    header, rows = module("tables").usage_table(comparison, "casp14")
    paper = [row[header.index("codes used (%), paper")] for row in rows]
    assert paper == ["5.5", "41.4", "64.5", "78.4"] or paper == ["5.5", "41.4", "64.4", "78.4"]


def test_the_page_says_what_is_missing(module, make_run, tmp_path):
    make_run(tmp_path / "r", "vanilla_vq", 0)
    make_run(tmp_path / "r", "vanilla_vq", 1)
    make_run(tmp_path / "r", "aminoaseed.kmeans", 0)
    comparison = module("results").load_all(tmp_path / "r")
    page = module("report").document(comparison, "")
    assert "Not measured: VanillaVQ + k-means only," in page
    assert "AminoAseed + k-means only was measured with seed 0 only, not with seed 1." in page
    assert "No variant with ProVQ has been measured with the same seed as its baseline." in page


def test_runs_with_other_settings_data_or_chains_are_not_compared(module, make_run, tmp_path):
    make_run(tmp_path, "vanilla_vq", 0)
    for change, message in (
        (lambda run: run["training"]["recipe"].update(steps=17), "steps is 17, not 16"),
        (lambda run: run["training"].update(data_hash="x"), "training data is x"),
        (lambda run: run["sets"]["casp14"].update(content_hash="x"), "chains of casp14 is x"),
    ):
        run = make_run(tmp_path, "vanilla_vq", 1)
        change(run)
        (tmp_path / "vanilla_vq.1.json").write_text(json.dumps(run))
        with pytest.raises(ConfigError, match=f"not comparable with vanilla_vq.0: {message}"):
            module("results").load_all(tmp_path)


def test_a_run_from_before_a_setting_came_is_one_without_it(module, make_run, tmp_path):
    make_run(tmp_path, "vanilla_vq", 0)
    make_run(tmp_path, "vanilla_vq_provq", 0)
    path = tmp_path / "vanilla_vq.0.json"
    run = json.loads(path.read_text())
    recipe = run["training"]["recipe"]
    assert recipe["loss"].pop("span") == 0.0
    assert recipe["optimizer"].pop("encoder_factor") == 1.0
    path.write_text(json.dumps(run))
    assert len(module("results").load_all(tmp_path)) == 2


def test_a_file_that_is_no_result_is_refused(module, tmp_path, capsys):
    with pytest.raises(ConfigError, match="contains no results"):
        module("results").load_all(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    assert module("table").main(["--results", str(tmp_path), "--page", str(tmp_path / "p.md")]) == 2
    assert "is no results file" in capsys.readouterr().err


def test_the_page_and_the_figures_are_written_and_checked(module, comparison, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the figures need the extra provq[plot]")
    page = tmp_path / "docs" / "page.md"
    options = ["--results", str(tmp_path / "r"), "--page", str(page)]
    assert module("table").main([*options, "--check"]) == 1

    assert module("table").main(options) == 0
    assert "VanillaVQ + ProVQ" in capsys.readouterr().out
    assert module("table").main([*options, "--check"]) == 0

    text = page.read_text()
    page.write_text(text.replace("worse", "better"))
    assert module("table").main([*options, "--check"]) == 1
    assert "does not show the current results" in capsys.readouterr().err
    page.write_text(text)
    path = tmp_path / "r" / "aminoaseed.2.json"
    run = json.loads(path.read_text())
    run["curves"]["validation"]["rmsd"][0] += 1.0
    path.write_text(json.dumps(run))
    assert module("table").main([*options, "--check"]) == 1
    stale = capsys.readouterr().err
    assert "tokenizers_curves.svg" in stale
    assert "page.md" not in stale


def test_the_committed_page_shows_the_committed_results(module, repo_root, capsys):
    if not list((repo_root / "benchmarks" / "tokenizer_comparison" / "results").glob("*.json")):
        pytest.skip("no results are committed")
    assert module("table").main(["--check"]) == 0, capsys.readouterr().err


def test_curves_of_seeds_are_averaged_where_all_have_a_value(module):
    runs = [
        {"curves": {"validation": {"step": [0, 1, 2], "rmsd": [3.0, None, 1.0]}}},
        {"curves": {"validation": {"step": [0, 1, 2], "rmsd": [5.0, 4.0, 2.0]}}},
    ]
    band = module("figures").band(runs, "validation", "rmsd")
    assert band == ([0, 2], [4.0, 1.5], [3.0, 1.0], [5.0, 2.0])
