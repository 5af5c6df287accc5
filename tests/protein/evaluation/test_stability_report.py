"""What is counted when chains are disturbed, and what the command says of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provq_protein.cli import main
from provq_protein.evaluation.disturbances import (
    NOISE_LEVELS,
    ROTATION,
    Disturbance,
    disturbances,
    pieces,
    rng_of,
    taken,
)
from provq_protein.evaluation.stability_report import StabilityMeter, StabilityRow, falls_short
from provq_protein.sources.foldcomp_codec import FoldcompDecoder, foldcomp_installed
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer

ROOT = Path(__file__).resolve().parents[3]
SMALL = ROOT / "data" / "structures" / "1as5.cif.gz"


@pytest.fixture(scope="module")
def tokenizer():
    return StructureTokenizer.from_pretrained()


@pytest.fixture(scope="module")
def chain():
    """Give 60 bonded residues of a real chain."""
    return taken(read_backbones(ROOT / "data" / "structures" / "1a8o.cif")[0], np.arange(2, 62))


def by_name(name):
    return next(one for one in disturbances() if one.name == name)


def test_a_rotation_keeps_distances_and_turns_the_chain(chain) -> None:
    turned, kept = by_name("rotation").change(chain, rng_of(0, 0, 0))
    before, after = chain.coords[:, 1].astype(float), turned.coords[:, 1].astype(float)
    assert kept.tolist() == list(range(len(chain)))
    assert np.abs(after - before).max() > 1
    distances = [np.linalg.norm(one[:, None] - one, axis=-1) for one in (before, after)]
    assert np.allclose(*distances, atol=1e-4)
    hand = [np.linalg.det(one[[3, 7, 11]] - one[0]) for one in (before, after)]
    assert hand[1] == pytest.approx(hand[0], rel=1e-3)


def test_a_rewritten_rotation_is_rounded_as_files_are(chain) -> None:
    turned, _ = by_name("rotation").change(chain, rng_of(0, 0, 0))
    written, _ = by_name("rotation, three decimals").change(chain, rng_of(0, 0, 0))
    loss = np.abs(written.coords - turned.coords)
    assert 1e-4 < loss.max() < 6e-4
    assert np.allclose(written.coords * 1000, np.round(written.coords * 1000), atol=0.01)


@pytest.mark.parametrize("level", NOISE_LEVELS)
def test_noise_has_the_size_that_its_name_says(chain, level) -> None:
    noisy, _ = by_name(f"noise {level:g}").change(chain, rng_of(0, 0, 0))
    assert float((noisy.coords - chain.coords).std()) == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("size", [1, 5])
def test_residues_are_taken_from_both_ends(chain, size) -> None:
    shorter, kept = by_name(f"without {size} at each end").change(chain, rng_of(0, 0, 0))
    assert kept.tolist() == list(range(size, len(chain) - size))
    assert shorter.sequence == chain.sequence[size:-size]
    assert shorter.author_numbers.tolist() == chain.author_numbers[size:-size].tolist()
    assert np.array_equal(shorter.coords, chain.coords[size:-size])


def test_what_is_too_short_is_left_alone(chain) -> None:
    short = taken(chain, np.arange(6))
    assert by_name("without 5 at each end").change(short, rng_of(0, 0, 0)) is None
    assert by_name("without 10 inside").change(short, rng_of(0, 0, 0)) is None


def test_ten_residues_go_missing_inside(chain) -> None:
    shorter, kept = by_name("without 10 inside").change(chain, rng_of(0, 0, 0))
    gone = sorted(set(range(len(chain))) - set(kept.tolist()))
    assert len(shorter) == len(chain) - 10
    assert gone == list(range(gone[0], gone[0] + 10))
    assert gone[0] >= 10
    assert gone[-1] < len(chain) - 10


def test_foldcomp_loses_a_little_and_the_frame_stays(chain) -> None:
    if not foldcomp_installed():
        pytest.skip("the package foldcomp is not installed")
    decoder = FoldcompDecoder()
    try:
        lossy, kept = next(one for one in disturbances(decoder) if one.name == "FoldComp").change(
            chain, rng_of(0, 0, 0)
        )
    finally:
        decoder.close()
    assert kept.tolist() == list(range(len(chain)))
    rmsd = float(np.sqrt(((lossy.coords - chain.coords) ** 2).sum(-1).mean()))
    assert 0.005 < rmsd < 0.2


def test_foldcomp_gets_bonded_resolved_stretches_only(chain) -> None:
    assert [*pieces(chain)] == [range(len(chain))]
    coords = np.tile(chain.coords, (3, 1, 1))
    long = taken(chain, np.tile(np.arange(len(chain)), 3))
    long = replace(long, coords=coords)
    # Each copy ends where the next one begins, far from it.
    count = len(chain)
    assert [*pieces(long)] == [range(i * count, (i + 1) * count) for i in range(3)]
    hole = coords.copy()
    hole[count + 45] = np.nan
    resolved = np.ones(3 * count, dtype=np.bool_)
    resolved[count + 45] = False
    broken = replace(long, coords=hole, resolved=resolved)
    # The 14 residues behind the hole are too few.
    expected = [range(count), range(count, count + 45), range(2 * count, 3 * count)]
    assert [*pieces(broken)] == expected


def test_ids_are_compared_residue_by_residue(tokenizer, chain) -> None:
    """Positions kept by a disturbance are compared with the same residues, not the same places."""

    def shifted(one, rng):
        kept = np.arange(2, len(one))
        return taken(one, kept), kept

    def same(one, rng):
        return one, np.arange(len(one))

    def failing(one, rng):
        msg = "not on this device"
        raise RuntimeError(msg)

    meter = StabilityMeter(
        tokenizer,
        [
            Disturbance(name="same", group="motion", change=same),
            Disturbance(name="shifted", group="removal", change=shifted, random=False),
            Disturbance(name="failing", group="loss", change=failing),
        ],
        trials=2,
    )
    found = meter.add(chain)
    ids = tokenizer.encode([chain])[0].ids
    other = tokenizer.encode([taken(chain, np.arange(2, len(chain)))])[0].ids
    assert (found["same"].residues, found["same"].same) == (2 * len(chain), 2 * len(chain))
    assert found["shifted"].residues == len(chain) - 2
    assert found["shifted"].same == int(np.sum(ids[2:] == other))
    assert "failing" not in found
    assert meter.notes == {"failing": "not on this device"}
    rows = {row.name: row for row in meter.rows()}
    assert rows["same"].share == 1.0
    assert rows["same"].intact == 1
    assert rows["failing"].chains == 0


def test_float64_changes_few_ids_and_noise_many(tokenizer, chain) -> None:
    names = ("float64", "noise 0.5", ROTATION)
    meter = StabilityMeter(tokenizer, [one for one in disturbances() if one.name in names])
    meter.add(chain)
    shares = {row.name: row.share for row in meter.rows()}
    assert shares["float64"] >= 0.9
    assert shares[ROTATION] == 1.0
    assert shares["noise 0.5"] < 0.5
    assert meter.notes == {}


def test_a_model_that_sees_the_pose_falls_short(tokenizer, chain, monkeypatch) -> None:
    """The turned coordinates really reach the model."""
    seen = []
    embed = tokenizer.model.__class__.embed

    def watched(model, coords, *rest):
        seen.append(coords)
        return embed(model, coords, *rest)

    monkeypatch.setattr(tokenizer.model.__class__, "embed", watched)
    meter = StabilityMeter(tokenizer, [by_name(ROTATION)], trials=1)
    meter.add(chain)
    before, after = (one[0, :, 1].double() for one in seen)
    assert (before - after).abs().max() > 1
    assert np.allclose(before.norm(dim=-1), after.norm(dim=-1), atol=1e-4)


def test_rotation_must_leave_999_of_1000_ids() -> None:
    row = StabilityRow(
        name=ROTATION, group="motion", chains=1, residues=1000, share=0.999, median=0.999,
        lowest=0.999, intact=0,
    )  # fmt: skip
    assert not falls_short([row])
    assert falls_short([replace(row, share=0.9989)])
    assert not falls_short([replace(row, name="noise 0.5", share=0.0)])


def test_the_command_prints_a_line_per_change_and_draws(capsys, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    figure = tmp_path / "stability.svg"
    code = main(["stability", str(SMALL), "--trials", "1", "--json", "-o", str(figure)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert rows[0]["name"] == ROTATION
    assert {row["chains"] for row in rows} <= {0, 1}
    assert all(row["share"] is None or 0 <= row["share"] <= 1 for row in rows)
    assert all(row["name"] in figure.read_text(encoding="utf-8") for row in rows if row["chains"])
    assert [one.name for one in tmp_path.iterdir()] == ["stability.svg"]


def test_a_bad_file_is_a_line_and_exit_code_1(capsys, tmp_path) -> None:
    bad = tmp_path / "bad.cif"
    bad.write_text("nothing", encoding="utf-8")
    code = main(["stability", str(bad), str(SMALL), "--trials", "1"])
    shown = capsys.readouterr()
    assert code == 1
    assert str(bad) in shown.err
    assert "1 chain of 2 files measured" in shown.err
    assert "rotation and shift" in shown.out


@pytest.mark.parametrize(
    ("plot", "reason"), [("figure.txt", "must end in"), ("absent/figure.svg", "no folder")]
)
def test_a_figure_that_cannot_be_written_is_refused_at_once(
    capsys, monkeypatch, tmp_path, plot, reason
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stability", str(SMALL), "-o", plot]) == 2
    assert reason in capsys.readouterr().err
