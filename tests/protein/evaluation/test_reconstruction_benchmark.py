"""Do measured results become a card, a README section and a figure, and are stale ones noticed?"""

import importlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.evaluation.expected_scores import expected_scores
from provq_protein.evaluation.roundtrip import VARIANTS
from provq_protein.runs.config import to_mapping
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.training.config import load_recipe
from provq_protein.training.store import save_store

MARKERS = "<!-- results:begin -->\nold\n<!-- results:end -->"


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path(repo_root):
    """Make the benchmark's modules importable, installed or not."""
    sys.path.append(str(repo_root / "benchmarks"))
    yield
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def run():
    return importlib.import_module("reconstruction.run")


@pytest.fixture(scope="module")
def card():
    return importlib.import_module("reconstruction.card")


@pytest.fixture(scope="module")
def measured(run, tiny_model, tiny_store, tmp_path_factory):
    """Return a folder with a model, chains, and results of the one on the other."""
    pytest.importorskip("h5py", reason="a chain store needs the extra 'train'")
    folder = tmp_path_factory.mktemp("benchmark")
    training = {
        "command": "provq-protein train --recipe smoke",
        "data_hash": tiny_store.content_hash(),
        "recipe": to_mapping(load_recipe("smoke")),
        "steps": 16,
        "threads": 1,
        "machine": "test",
        "trained_seconds": 120.0,
        "training_chains": 8,
        "validation_chains": 3,
        "versions": {"python": "3"},
        "amendments": [{"step": 7, "changes": {"steps": [20, 16]}}],
    }
    tiny_model.save(folder / "tiny", training=training)
    save_store(folder / "chains.h5", tiny_store, provenance="test")
    (folder / "structures").mkdir()
    write_backbone(folder / "structures" / "one.cif", tiny_store.backbone(1))
    (folder / "structures" / "two.cif").write_text("no structure")
    write_arrays(folder, [tiny_store.backbone(2), tiny_store.backbone(4)])
    (folder / "README.md").write_text(f"before\n{MARKERS}\nafter\n")
    assert run.main(run_arguments(folder, folder)) == 0
    return folder


def run_arguments(folder, output):
    return [
        f"--model={folder / 'tiny'}",
        f"--store={folder / 'chains.h5'}",
        f"--files=casp14={folder / 'structures'}",
        f"--arrays={folder / 'arrays.npz'}",
        f"--sets={folder / 'sets.json'}",
        f"--output-folder={output}",
    ]


def write_arrays(folder, backbones):
    lengths = [len(chain) for chain in backbones]
    coords = np.concatenate([chain.coords for chain in backbones])
    packed = np.where(np.isfinite(coords), np.round(np.nan_to_num(coords) * 100), -32768)
    np.savez(
        folder / "arrays.npz",
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        coords=packed.astype(np.int16),
        seq=np.array(["A"] * sum(lengths), dtype="S1"),
        resnum=np.concatenate([chain.author_numbers for chain in backbones]),
        pdb=np.array(["1abc"] * len(backbones)),
        chain=np.array(["A"] * len(backbones)),
    )
    (folder / "sets.json").write_text(json.dumps({"cameo2022": [1, 0]}))


@pytest.fixture(scope="module")
def written(card, measured, tmp_path_factory):
    """Return a copy of that folder with everything that is made from the results."""
    pytest.importorskip("matplotlib", reason="the figure needs the extra 'plot'")
    folder = tmp_path_factory.mktemp("written") / "copy"
    shutil.copytree(measured, folder)
    assert card.main(card_arguments(folder)) == 0
    return folder


@pytest.fixture
def carded(written, tmp_path):
    """Return a private copy of the folder with card, README and figure, to be damaged."""
    return shutil.copytree(written, tmp_path / "private")


def card_arguments(folder, *more):
    return [
        f"--results={folder / 'tiny.json'}",
        f"--model={folder / 'tiny'}",
        f"--readme={folder / 'README.md'}",
        *more,
    ]


def change_results(folder, change):
    path = folder / "tiny.json"
    results = json.loads(path.read_text())
    change(results)
    path.write_text(json.dumps(results))


def test_results_hold_every_set_with_controls_and_provenance(measured, tiny_store):
    results = json.loads((measured / "tiny.json").read_text())

    counts = {name: one["chain_count"] for name, one in results["sets"].items()}
    assert counts == {"validation": 3, "casp14": 1, "cameo2022": 2}
    assert all(list(one["summary"]) == list(VARIANTS) for one in results["sets"].values())
    assert results["sets"]["casp14"]["left_out"][0].startswith("two.cif: ")
    lengths = [row[1] for row in results["sets"]["cameo2022"]["chains"]["rows"]]
    assert lengths == [int(tiny_store.backbone(i).resolved.sum()) for i in (4, 2)]
    assert results["training"]["data_hash"] == tiny_store.content_hash()
    assert str(measured) not in json.dumps(results)


def test_measuring_again_gives_the_same_file(run, measured, tmp_path):
    assert run.main(run_arguments(measured, tmp_path)) == 0
    assert (tmp_path / "tiny.json").read_bytes() == (measured / "tiny.json").read_bytes()


def test_another_store_is_refused_for_validation(run, measured, tiny_store, tmp_path, capsys):
    other = tmp_path / "other.h5"
    renamed = type(tiny_store)(**{**vars(tiny_store), "names": tiny_store.names[::-1]})
    save_store(other, renamed, provenance="test")
    arguments = [*run_arguments(measured, tmp_path), f"--store={other}"]

    assert run.main(arguments) == 2
    assert "holds out other chains" in capsys.readouterr().err


def test_chains_are_identified_by_their_coordinates(run, tmp_path, tiny_store):
    sources = sys.modules[run.from_files.__module__]
    first = sources.ChainSet("x", "", [tiny_store.backbone(0)], []).content_hash()
    moved = Backbone.from_arrays(tiny_store.backbone(0).coords + np.float32(0.01))
    assert sources.ChainSet("x", "", [moved], []).content_hash() != first
    with pytest.raises(StructureError, match="no such folder"):
        run.from_files("x", tmp_path / "absent")


def test_the_card_and_the_readme_show_the_measured_numbers(carded):
    results = json.loads((carded / "tiny.json").read_text())
    text = (carded / "tiny" / "README.md").read_text()
    readme = (carded / "README.md").read_text()

    for title, name in (
        ("validation", "validation"),
        ("CASP14", "casp14"),
        ("CAMEO2022", "cameo2022"),
    ):
        one = results["sets"][name]
        rmsd = f"{one['summary']['tokens']['rmsd']['median']:.2f} ["
        lddt = f"{one['summary']['tokens']['lddt_ca']['median']:.3f} ["
        for document in (text, readme):
            row = next(line for line in document.splitlines() if line.startswith(f"| {title} |"))
            assert f"| {rmsd}" in row
            assert f"| {lddt}" in row
        constant = f"{one['summary']['constant']['lddt_ca']['median']:.3f}"
        assert f"{title}: decoded from" in text
        assert constant in text
    for words in (
        results["model"]["weights_sha256"],
        results["training"]["command"],
        "16: 5 warm-up",
    ):
        assert words in text
    assert readme.startswith("before\n<!-- results:begin -->\n")
    assert readme.endswith("<!-- results:end -->\nafter\n")
    assert "old" not in readme
    assert "](tiny.png)" in readme


def test_the_expected_scores_are_the_medians_of_validation(card, carded, capsys):
    results = json.loads((carded / "tiny.json").read_text())
    validation = results["sets"]["validation"]
    found = expected_scores(carded / "tiny")
    assert found is not None
    assert (found.chains_of, found.chains) == ("validation", 3)
    for name in ("rmsd", "tm_score", "lddt_ca"):
        assert getattr(found, name) == validation["summary"]["tokens"][name]["median"]
    (carded / "tiny" / "expected.json").write_text("{}")
    assert card.main(card_arguments(carded, "--check")) == 1
    assert "expected.json" in capsys.readouterr().err


def test_the_card_tells_what_was_changed_during_training(carded):
    text = (carded / "tiny" / "README.md").read_text()
    assert "| changed at step 7 | `steps` from 20 to 16 |" in text


def test_a_current_card_passes_the_check(card, carded):
    assert card.main(card_arguments(carded, "--check")) == 0


def test_writing_again_changes_nothing(card, carded):
    files = ["tiny/README.md", "README.md", "tiny.svg", "tiny.png"]
    before = [(carded / name).read_bytes() for name in files]
    assert card.main(card_arguments(carded)) == 0
    assert [(carded / name).read_bytes() for name in files] == before


def test_the_check_notices_a_number_changed_in_the_results(card, carded, capsys):
    def change(results):
        results["sets"]["casp14"]["summary"]["tokens"]["rmsd"]["median"] += 0.5

    change_results(carded, change)

    assert card.main(card_arguments(carded, "--check")) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in errors] == [
        str(carded / "tiny" / "README.md"),
        str(carded / "README.md"),
    ]


@pytest.mark.parametrize("name", ["tiny/README.md", "README.md"])
def test_the_check_notices_a_number_changed_in_the_text(card, carded, name, capsys):
    results = json.loads((carded / "tiny.json").read_text())
    rmsd = f"{results['sets']['casp14']['summary']['tokens']['rmsd']['median']:.2f}"
    path = carded / name
    path.write_text(path.read_text().replace(rmsd, "1.23"))

    assert card.main(card_arguments(carded, "--check")) == 1
    assert str(path) in capsys.readouterr().err


def test_the_check_notices_a_figure_of_other_chains(card, carded, capsys):
    def change(results):
        results["sets"]["casp14"]["chains"]["rows"][0][2] += 0.5

    change_results(carded, change)

    assert card.main(card_arguments(carded, "--check")) == 1
    assert "tiny.svg" in capsys.readouterr().err


def test_results_of_other_weights_are_refused(card, carded, capsys):
    weights = carded / "tiny" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))

    assert card.main(card_arguments(carded, "--check")) == 2
    assert "measure again" in capsys.readouterr().err


def test_a_readme_without_markers_is_refused_and_kept(card, carded, capsys):
    (carded / "README.md").write_text("no markers")

    assert card.main(card_arguments(carded)) == 2
    assert (carded / "README.md").read_text() == "no markers"
    assert "results:begin" in capsys.readouterr().err


def test_the_scripts_run_by_their_path_from_any_folder(repo_root, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = repo_root / "benchmarks" / "reconstruction" / "card.py"
    done = subprocess.run(
        [sys.executable, str(script), "--results", "absent.json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("card.py: error: absent.json: is no results file")


def test_the_shipped_model_has_a_current_card(card, repo_root, capsys):
    if not (repo_root / "provq_protein" / "models" / "default").is_dir():
        pytest.skip("no default model in provq_protein/models/default: nothing to describe")

    code = card.main(["--check"])
    assert code == 0, capsys.readouterr().err
