"""Does ``provq-protein dynamics`` write and print what a trajectory's tokens are?"""

import json
from importlib.util import find_spec

import pytest

from provq_protein.evaluation.dynamics_report import residue_rows, summary
from provq_protein.evaluation.series_file import load_series


@pytest.fixture
def ensemble(repo_root):
    """Return an NMR entry of 14 models."""
    return repo_root / "data" / "structures" / "1as5.cif.gz"


def test_a_series_is_written_and_summed_up(run, ensemble, model_folder, tmp_path):
    output = tmp_path / "series.npz"
    answer = run("dynamics", ensemble, "--model", model_folder, "-o", output)
    assert (answer.code, answer.err) == (0, f"14 frames encoded to {output}\n")
    series = load_series(output)
    numbers = summary(series)
    assert "14 frames of 24 residues" in answer.out
    assert f"from frame to frame: {100 * numbers['changed']:.1f} %" in answer.out
    assert f"mean RMSF of CA: {numbers['mean_rmsf']:.2f} Å" in answer.out
    most = max(residue_rows(series), key=lambda row: row["mean_shift"] or 0)
    assert f"{most['name']} {most['residue']}" in answer.out


def test_json_lines_hold_every_residue_and_the_chain(run, ensemble, model_folder, tmp_path):
    line = ["dynamics", ensemble, "--model", model_folder, "--stride", "5"]
    answer = run(*line, "-o", tmp_path / "s.npz", "--json")
    series = load_series(tmp_path / "s.npz")
    rows = [json.loads(text) for text in answer.out.splitlines()]
    assert rows == [*residue_rows(series), summary(series)]
    assert rows[-1]["frames"] == 3
    assert series.frames.tolist() == [1, 6, 11]


def test_one_frame_is_said_to_be_one(run, repo_root, model_folder, tmp_path):
    path = repo_root / "data" / "structures" / "1a8o.cif"
    answer = run("dynamics", path, "--model", model_folder, "-o", tmp_path / "s.npz")
    assert answer.code == 0
    assert "only one frame, so nothing can change" in answer.err
    assert len(load_series(tmp_path / "s.npz")) == 1


def test_outputs_are_looked_at_first(run, ensemble, model_folder, tmp_path):
    mine = tmp_path / "mine.npz"
    mine.write_text("mine")
    line = ["dynamics", ensemble, "--model", model_folder]
    answer = run(*line, "-o", mine)
    assert answer.code == 2
    assert "exists" in answer.err
    assert mine.read_text() == "mine"
    assert run(*line, "-o", mine, "--overwrite").code == 0
    assert run(*line, "-o", tmp_path / "absent" / "s.npz").code == 2
    assert run(*line, "-o", tmp_path / "s.npz", "--plot", tmp_path / "x.jpg").code == 2
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="figures need the extra 'plot'")
def test_a_figure_is_written_and_kept(run, ensemble, model_folder, tmp_path):
    figure = tmp_path / "x.svg"
    line = ["dynamics", ensemble, "--model", model_folder, "--plot", figure]
    assert run(*line, "-o", tmp_path / "s.npz").code == 0
    assert "1as5.cif.gz, chain A" in figure.read_text()
    answer = run(*line, "-o", tmp_path / "t.npz")
    assert answer.code == 2
    assert "x.svg: exists" in answer.err


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("absent.xtc", [], "is no file"),
        ("2xhe.pdb.gz", [], "several protein chains (A, B)"),
        ("2xhe.pdb.gz", ["--chain", "Z"], "no such protein chain; there is A, B"),
        ("1as5.cif.gz", ["--stride", "0"], "expected a whole number from 1"),
    ],
)
def test_what_is_no_trajectory_is_one_line(
    name, more, reason, run, repo_root, model_folder, tmp_path
):
    path = repo_root / "data" / "structures" / name
    answer = run("dynamics", path, *more, "--model", model_folder, "-o", tmp_path / "s.npz")
    assert answer.code == 2
    assert reason in answer.err.splitlines()[-1]
    assert not (tmp_path / "s.npz").exists()


def test_a_damaged_trajectory_is_a_problem_of_its_end(run, ensemble, model_folder, tmp_path):
    pytest.importorskip("mdtraj", reason="trajectories need the extra 'trajectory'")
    from provq_protein.interop.md import to_mdtraj
    from provq_protein.structure.policies import ResiduePolicy
    from provq_protein.structure.reading import read_backbones

    chains = read_backbones(ensemble, policy=ResiduePolicy(model="all"))
    trajectory = to_mdtraj(chains, times=range(14))
    trajectory.save_trr(str(tmp_path / "run.trr"))
    trajectory[0].save_pdb(str(tmp_path / "top.pdb"))
    content = (tmp_path / "run.trr").read_bytes()
    (tmp_path / "run.trr").write_bytes(content[: len(content) // 2 + 7])
    line = ["dynamics", tmp_path / "run.trr", "--topology", tmp_path / "top.pdb"]
    answer = run(*line, "--model", model_folder, "-o", tmp_path / "s.npz")
    assert answer.code == 1
    assert "run.trr!frame 8: mdtraj cannot read on after frame 7" in answer.err
    assert "7 frames encoded to" in answer.err
    assert "0 to 6 ps" in answer.out
    without = run(*line[:2], "--model", model_folder, "-o", tmp_path / "t.npz")
    assert without.code == 2
    assert "topology" in without.err
