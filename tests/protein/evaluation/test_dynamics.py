"""Are tokens over frames counted, measured and stored as they are, whatever the frames are?"""

import dataclasses
import math
from importlib.util import find_spec

import numpy as np
import pytest

from provq_protein.errors import ConfigError, StructureError, TokenFormatError
from provq_protein.evaluation.dynamics import TokenSeries, token_series
from provq_protein.evaluation.dynamics_report import rank_correlation, residue_rows, summary
from provq_protein.evaluation.series_file import load_series, save_series
from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.interop.md import to_mdtraj
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones
from provq_protein.structure.writing import write_backbone, write_models
from provq_protein.tokenizer import StructureTokenizer

FRAMES = 8


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return StructureTokenizer(tiny_model)


@pytest.fixture(scope="module")
def ensemble_file(repo_root):
    """Return an NMR entry of 14 models."""
    return repo_root / "data" / "structures" / "1as5.cif.gz"


@pytest.fixture(scope="module")
def ensemble(ensemble_file):
    return read_backbones(ensemble_file, policy=ResiduePolicy(model="all"))


@pytest.fixture
def frames(make_coords):
    """Return a chain of 20 residues of which numbers 10 to 12 swing, turned in each frame."""
    generator = np.random.default_rng(3)
    still = make_coords(20, 1)
    found = []
    for frame in range(FRAMES):
        coords = still.astype(np.float64)
        coords[9:12] += 2.0 * math.sin(frame) * np.array([1.0, 0.0, 0.0])
        rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        rotation *= np.linalg.det(rotation)
        turned = coords @ rotation.T + generator.normal(size=3)
        found.append(Backbone.from_arrays(turned, sequence="A" * 20))
    return found


@pytest.fixture
def run_file(frames, tmp_path):
    """Return a trajectory file of these frames, 5 ps apart, and its topology."""
    pytest.importorskip("mdtraj", reason="trajectories need the extra 'trajectory'")
    trajectory = to_mdtraj(frames, times=5.0 * np.arange(FRAMES))
    trajectory.save_trr(str(tmp_path / "run.trr"))
    write_backbone(tmp_path / "top.cif", frames[0])
    trajectory[0].save_pdb(str(tmp_path / "top.pdb"))
    return tmp_path / "run.trr", tmp_path / "top.pdb"


def series_of(ids, *, codes=None, resolved=None, rmsf=None):
    """Return a series of made-up ids, of four codes."""
    ids = np.array(ids, dtype=np.int32)
    length = ids.shape[1]
    return TokenSeries(
        ids=ids,
        resolved=ids >= 0 if resolved is None else np.array(resolved),
        frames=np.arange(1, len(ids) + 1),
        times=np.full(len(ids), np.nan),
        sequence="A" * length,
        residue_names=("ALA",) * length,
        author_numbers=np.arange(1, length + 1, dtype=np.int32),
        insertion_codes=("",) * length,
        label_numbers=np.arange(1, length + 1, dtype=np.int32),
        chain_id="A",
        label_chain_id="A",
        source="x.xtc",
        fingerprint="f",
        codebook_size=4,
        codes=None if codes is None else np.array(codes, dtype=np.float32),
        rmsf=np.full(length, np.nan) if rmsf is None else np.array(rmsf),
    )


def test_a_series_counts_changes_codes_and_distances():
    # Code 0 lies at 0, code 1 at 1, code 3 at (3, 4).
    series = series_of([[0, 1], [1, 1], [0, 3], [0, 3]], codes=[[0, 0], [1, 0], [3, 4]])
    assert series.changes.tolist() == [2, 1]
    assert series.change_share == pytest.approx([2 / 3, 1 / 3])
    assert series.distinct.tolist() == [2, 2]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert series.perplexity == pytest.approx([math.exp(entropy), 2.0])
    away = math.hypot(2, 4)
    assert series.shifts.tolist() == pytest.approx(np.array([[1, 0], [1, away], [0, 0]]))
    assert series.mean_shift == pytest.approx([2 / 3, away / 3])
    assert series.from_first == pytest.approx(np.array([[0, 0], [1, 0], [0, away], [0, away]]))
    assert series.changed_from_first.tolist() == [0.0, 0.5, 0.5, 0.5]
    assert series.code_fluctuation == pytest.approx([math.sqrt(3 / 16), away / 2])
    pairs = [np.array([[0, 0], [1, 0], [3, 4]])[[0, 1, 0, 0, 1, 1, 2, 2]]]
    squares = ((pairs[0][:, None] - pairs[0][None]) ** 2).sum(-1)
    assert series.spread == pytest.approx(math.sqrt(squares.mean()))


def test_what_is_unresolved_is_neither_a_code_nor_a_change():
    series = series_of([[0, -1], [-1, -1], [1, -1], [2, -1]], codes=[[0], [1], [2]])
    assert series.changes.tolist() == [1, 0]
    assert series.pairs.tolist() == [1, 0]
    assert series.distinct.tolist() == [3, 0]
    assert np.isnan(series.perplexity[1])
    assert series.mean_shift[0] == 1.0
    assert np.isnan(series.mean_shift[1])
    assert np.isnan(series.shifts[:2]).all()
    assert series.changed_from_first[2:].tolist() == [1.0, 1.0]


def test_long_series_are_measured_by_parts():
    ids = np.arange(700)[:, None] % 3
    series = series_of(ids, codes=[[0], [1], [5]])
    assert series.shifts[:3, 0].tolist() == [1.0, 4.0, 5.0]
    assert series.shifts[-3:, 0].tolist() == np.roll([1.0, 4.0, 5.0], -696 % 3).tolist()
    assert not np.isnan(series.shifts).any()


def test_models_of_a_file_are_frames(tokenizer, ensemble_file, ensemble):
    series = token_series(tokenizer, ensemble_file)
    expected = tokenizer.encode(ensemble)
    assert np.array_equal(series.ids, [tokens.ids for tokens in expected])
    assert series.frames.tolist() == list(range(1, 15))
    assert np.isnan(series.times).all()
    assert series.residue_ids == ensemble[0].residue_ids
    assert series.source == str(ensemble_file)
    codes = tokenizer.codebook
    assert series.shifts[4, 7] == pytest.approx(
        np.linalg.norm(codes[series.ids[5, 7]] - codes[series.ids[4, 7]]), abs=1e-5
    )


def test_fluctuations_are_those_of_superposed_frames(tokenizer, ensemble_file, ensemble):
    series = token_series(tokenizer, ensemble_file)
    alphas = [chain.coords[:, 1].astype(float) for chain in ensemble]
    moved = np.array([apply_motion(one, *superpose(one, alphas[0])) for one in alphas])
    expected = np.sqrt(((moved - moved.mean(axis=0)) ** 2).sum(-1).mean(axis=0))
    assert series.rmsf == pytest.approx(expected, abs=1e-4)


def test_a_trajectory_is_encoded_frame_by_frame(tokenizer, frames, run_file):
    path, topology = run_file
    series = token_series(tokenizer, path, topology=topology)
    assert len(series) == FRAMES
    assert series.times.tolist() == [5.0 * frame for frame in range(FRAMES)]
    # What swings fluctuates most, though the whole chain was turned.
    assert set(np.argsort(series.rmsf)[-3:].tolist()) == {9, 10, 11}
    every_third = token_series(tokenizer, path, topology=topology, stride=3)
    assert every_third.frames.tolist() == [1, 4, 7]
    assert np.array_equal(every_third.ids, series.ids[::3])
    assert every_third.times.tolist() == [0.0, 15.0, 30.0]


def test_a_damaged_end_leaves_the_sound_frames(tokenizer, run_file):
    path, topology = run_file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 5 // 8 + 10])
    problems = []
    series = token_series(tokenizer, path, topology=topology, on_problem=problems.append)
    assert len(series) == 5
    (problem,) = problems
    assert problem.file == f"{path}!frame 6"
    with pytest.raises(StructureError, match="frame 6"):
        token_series(tokenizer, path, topology=topology)


def test_a_frame_that_cannot_be_encoded_is_told_and_left_out(tokenizer, frames, tmp_path):
    nothing = frames[1].coords * np.float32(np.nan)
    _, _, third = frames[:3]
    trajectory = to_mdtraj([frames[0], frames[1], third])
    trajectory.xyz[1] = nothing.reshape(-1, 3)
    trajectory.save_trr(str(tmp_path / "run.trr"))
    trajectory[0].save_pdb(str(tmp_path / "top.pdb"))
    problems = []
    series = token_series(
        tokenizer, tmp_path / "run.trr", topology=tmp_path / "top.pdb", on_problem=problems.append
    )
    assert series.frames.tolist() == [1, 3]
    assert len(problems) == 1
    assert "frame 2" in problems[0].file


def test_a_series_of_token_files_is_the_same(tokenizer, ensemble_file, ensemble):
    tokens = tokenizer.encode(ensemble)
    series = TokenSeries.from_tokens(tokens, codebook=tokenizer.codebook)
    direct = token_series(tokenizer, ensemble_file)
    assert np.array_equal(series.ids, direct.ids)
    assert np.array_equal(series.shifts, direct.shifts, equal_nan=True)
    assert np.isnan(series.rmsf).all()
    without = TokenSeries.from_tokens(tokens)
    assert without.changes.tolist() == direct.changes.tolist()
    assert np.isnan(without.mean_shift).all()
    assert math.isnan(without.spread)


def test_tokens_of_several_chains_are_no_series(tokenizer, ensemble):
    one, other = tokenizer.encode(ensemble[:2])
    for changed in (
        dataclasses.replace(other, chain_id="B"),
        dataclasses.replace(other, fingerprint="other"),
        dataclasses.replace(other, context="complex"),
        dataclasses.replace(other, author_numbers=other.author_numbers + 1),
        dataclasses.replace(other, source="other.xtc!frame 2"),
    ):
        with pytest.raises(TokenFormatError, match="give the frames of one chain"):
            TokenSeries.from_tokens([one, changed])
    with pytest.raises(TokenFormatError, match="do not increase"):
        TokenSeries.from_tokens([other, one])
    with pytest.raises(TokenFormatError, match="at least one frame"):
        TokenSeries.from_tokens([])


def test_one_frame_has_no_changes(tokenizer, repo_root):
    series = token_series(tokenizer, repo_root / "data" / "structures" / "1a8o.cif")
    assert len(series) == 1
    assert series.changes.tolist() == [0] * 70
    assert np.isnan(series.mean_shift).all()
    assert np.isnan(series.rmsf).all()
    assert summary(series)["changed"] is None
    assert residue_rows(series)[0]["mean_shift"] is None


def test_what_cannot_be_a_series_is_refused(tokenizer, repo_root, run_file, tmp_path, make_coords):
    path, topology = run_file
    two = repo_root / "data" / "structures" / "2xhe.pdb.gz"
    with pytest.raises(StructureError, match=r"several protein chains \(A, B\)"):
        token_series(tokenizer, two)
    with pytest.raises(StructureError, match="chain Z: no such protein chain; there is A, B"):
        token_series(tokenizer, two, chain="Z")
    with pytest.raises(StructureError, match="chain Z: no such protein chain"):
        token_series(tokenizer, path, topology=topology, chain="Z", on_problem=print)
    with pytest.raises(StructureError, match=r"run\.trr: .*give a structure file"):
        token_series(tokenizer, path)
    with pytest.raises(StructureError, match="is no file"):
        token_series(tokenizer, tmp_path / "absent.xtc")
    (tmp_path / "set.tar").write_bytes(b"x")
    with pytest.raises(StructureError, match="no trajectory and no structure file"):
        token_series(tokenizer, tmp_path / "set.tar")
    with pytest.raises(ConfigError, match="stride must be at least 1"):
        token_series(tokenizer, path, topology=topology, stride=0)


def test_models_of_other_residues_are_refused(tokenizer, tmp_path, make_coords):
    chain = Backbone.from_arrays(make_coords(12, 1), sequence="A" * 12)
    write_models(tmp_path / "x.cif", [chain, chain])
    text = (tmp_path / "x.cif").read_text().splitlines()
    shorter = [line for line in text if not (line.startswith("ATOM") and line.endswith(" 2"))
               or " 12 " not in line]  # fmt: skip
    (tmp_path / "x.cif").write_text("\n".join(shorter) + "\n")
    with pytest.raises(StructureError, match=r"model 2 has other residues \(11\) than model 1"):
        token_series(tokenizer, tmp_path / "x.cif")


def test_a_saved_series_is_read_back(tokenizer, ensemble_file, tmp_path):
    series = token_series(tokenizer, ensemble_file)
    for one in (series, dataclasses.replace(series, codes=None)):
        save_series(tmp_path / "s.npz", one)
        again = load_series(tmp_path / "s.npz")
        for field in dataclasses.fields(TokenSeries):
            before, after = getattr(one, field.name), getattr(again, field.name)
            if isinstance(before, np.ndarray):
                assert after.dtype == before.dtype, field.name
                kind = before.dtype.kind
                assert np.array_equal(after, before, equal_nan=kind == "f"), field.name
            else:
                assert after == before, field.name
    first = (tmp_path / "s.npz").read_bytes()
    save_series(tmp_path / "s.npz", one)
    assert (tmp_path / "s.npz").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": np.array("provq-tokens")}, "not a token series"),
        ({"format_version": np.array(2)}, "version 2 is unknown"),
        ({"ids": np.zeros((2, 3), dtype=np.int32)}, "damaged"),
        ({"ids": np.zeros((14, 24), dtype=np.float64)}, "ids is float64, not int32"),
        ({"rmsf": None}, "rmsf not in the archive"),
    ],
)
def test_a_file_that_is_no_series_is_refused(change, reason, tokenizer, ensemble_file, tmp_path):
    save_series(tmp_path / "s.npz", token_series(tokenizer, ensemble_file))
    with np.load(tmp_path / "s.npz") as archive:
        arrays = {**dict(archive), **change}
    np.savez(tmp_path / "t.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(TokenFormatError, match=reason):
        load_series(tmp_path / "t.npz")


def test_a_truncated_or_absent_file_is_told(tokenizer, ensemble_file, tmp_path):
    save_series(tmp_path / "s.npz", token_series(tokenizer, ensemble_file))
    content = (tmp_path / "s.npz").read_bytes()
    (tmp_path / "s.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(TokenFormatError, match="truncated or damaged"):
        load_series(tmp_path / "s.npz")
    with pytest.raises(TokenFormatError, match="cannot be read"):
        load_series(tmp_path / "absent.npz")


def test_ranks_are_compared():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 5]) == pytest.approx(-0.2)
    # Equal values share a rank: 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert rank_correlation([0, 1, 1, 2], [0, 1, 2, 3]) == pytest.approx(math.sqrt(0.9))
    assert rank_correlation([1, 2, np.nan, 3], [3, 2, 9, 1]) == pytest.approx(-1)
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(rank_correlation([1, 2], [1, 2]))


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="figures need the extra 'plot'")
@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_figure_is_drawn_and_the_same_again(suffix, tokenizer, ensemble_file, tmp_path):
    from provq_protein.evaluation.dynamics_figure import draw_dynamics

    series = token_series(tokenizer, ensemble_file)
    path = tmp_path / f"x{suffix}"
    draw_dynamics(path, series, title="first")
    first = path.read_bytes()
    draw_dynamics(path, series, title="first")
    assert path.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    if suffix == ".svg":
        text = path.read_text()
        for words in ("residue of chain A", "RMSF of CA", "the id changes (%)", ">24<"):
            assert words in text


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="figures need the extra 'plot'")
def test_figures_of_odd_series_are_drawn(tmp_path):
    from provq_protein.evaluation.dynamics_figure import draw_dynamics
    from provq_protein.evaluation.figure_files import check_figure

    with pytest.raises(ConfigError, match=r"must end in \.svg"):
        check_figure(tmp_path / "x.jpg")
    long = series_of(np.arange(2500)[:, None] % 3, codes=[[0], [1], [5]])
    for series in (long, series_of([[0, -1, 1]]), series_of([[0, 0], [0, 0]], codes=[[1]])):
        draw_dynamics(tmp_path / "x.png", series, title="odd")
        assert (tmp_path / "x.png").stat().st_size > 1000
