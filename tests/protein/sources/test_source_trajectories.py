"""Is each frame of a trajectory a chain like that of a structure file?"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provq_protein import extras
from provq_protein.errors import MissingExtraError
from provq_protein.sources import members
from provq_protein.structure.reading import read_backbones

mdtraj: Any = extras.require_extra("mdtraj", extra="trajectory", purpose="these tests")
FRAMES = 205


@pytest.fixture(scope="module")
def structure(repo_root: Path) -> Path:
    """Return a structure with a modified residue, side chains and water."""
    return repo_root / "data" / "structures" / "1a8o.pdb"


@pytest.fixture(scope="module")
def shifts() -> np.ndarray:
    """Return a displacement for each frame, in Angstrom."""
    return np.random.default_rng(7).uniform(-5, 5, size=(FRAMES, 1, 1, 3)).astype(np.float32)


@pytest.fixture
def write(structure: Path, shifts: np.ndarray, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a trajectory of the structure."""

    def save(name: str) -> Path:
        frames = mdtraj.load_pdb(os.fspath(structure))
        moved = mdtraj.Trajectory(frames.xyz + shifts[:, 0] / 10, frames.topology)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mdtraj asks for faster packages
            moved.save(os.fspath(tmp_path / name))
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("run.dcd", 1e-3), ("run.trr", 1e-3), ("run.nc", 1e-3), ("run.xtc", 6e-3)],
)
def test_frames_are_the_chains_of_the_structure_moved(
    name: str,
    tolerance: float,
    write: Callable[[str], Path],
    structure: Path,
    shifts: np.ndarray,
) -> None:
    path = write(name)
    (expected,) = read_backbones(structure)
    found = list(members([path], topology=structure))
    assert [m.name for m in found] == [f"{path}!frame {n}" for n in range(1, FRAMES + 1)]
    assert {m.source for m in found} == {"trajectory"}
    for number, (member, shift) in enumerate(zip(found, shifts, strict=True), start=1):
        chain = member.chain
        assert chain is not None
        assert np.abs(chain.coords - (expected.coords + shift)).max() < tolerance
        assert chain.sequence == expected.sequence
        assert chain.residue_names == expected.residue_names
        assert chain.residue_ids == expected.residue_ids
        assert (chain.chain_id, chain.source, chain.model) == ("A", member.name, number)


def test_a_trajectory_that_names_its_atoms_needs_no_topology(
    write: Callable[[str], Path],
) -> None:
    pytest.importorskip("tables", reason="mdtraj reads HDF5 with it")
    found = list(members([write("run.h5")]))
    assert len(found) == FRAMES
    assert found[0].chain is not None


def test_every_protein_chain_of_a_frame_is_a_member(
    sample_structures: list[Path], tmp_path: Path
) -> None:
    topology = next(path for path in sample_structures if path.name == "2xhe.pdb.gz")
    expected = read_backbones(topology)
    assert len(expected) > 1
    path = tmp_path / "run.dcd"
    mdtraj.load_pdb(os.fspath(topology))[[0, 0]].save(os.fspath(path))
    found = list(members([path], topology=topology))
    chains = [m.chain for m in found if m.chain is not None]
    assert [m.name for m in found] == [f"{path}!frame {n}" for n in (1, 2) for _ in expected]
    assert [c.chain_id for c in chains] == [c.chain_id for c in expected] * 2
    for chain, other in zip(chains, expected * 2, strict=True):
        assert chain.sequence == other.sequence
        assert chain.residue_names == other.residue_names
        assert chain.author_numbers.tolist() == other.author_numbers.tolist()
        assert np.array_equal(chain.resolved, other.resolved)
        assert np.nanmax(np.abs(chain.coords - other.coords)) < 1e-3


def test_an_atom_that_is_no_number_makes_its_residue_unresolved(
    structure: Path, tmp_path: Path
) -> None:
    frames = mdtraj.load_pdb(os.fspath(structure))
    xyz = np.repeat(frames.xyz, 2, axis=0)
    xyz[1, frames.topology.select("name CA")[3]] = np.nan
    mdtraj.Trajectory(xyz, frames.topology).save(os.fspath(tmp_path / "run.trr"))
    first, second = (m.chain for m in members([tmp_path / "run.trr"], topology=structure))
    assert first is not None
    assert second is not None
    assert first.resolved.all()
    assert np.flatnonzero(~second.resolved).tolist() == [3]


def test_unwanted_frames_have_a_name_only(write: Callable[[str], Path], structure: Path) -> None:
    path = write("run.dcd")
    found = list(members([path], topology=structure, wanted=lambda index: index % 100 == 3))
    assert len(found) == FRAMES
    assert [n for n, m in enumerate(found) if m.chain is not None] == [3, 103, 203]


@pytest.mark.parametrize("name", ["run.xtc", "run.trr", "run.dcd", "run.nc"])
def test_a_truncated_trajectory_gives_its_whole_frames_and_says_so(
    name: str, write: Callable[[str], Path], structure: Path
) -> None:
    path = write(name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    found = list(members([path], topology=structure))
    assert found[-1].problem is not None
    assert [m.problem for m in found[:-1]] == [None] * (len(found) - 1)
    if name != "run.nc":  # which is read as a whole or not at all
        assert len(found) == FRAMES * 3 // 4 + 1
        assert found[-1].name == f"{path}!frame {len(found)}"


def test_a_topology_of_other_atoms_is_refused(
    write: Callable[[str], Path], sample_structures: list[Path]
) -> None:
    other = next(path for path in sample_structures if path.name == "2xhe.pdb.gz")
    (only,) = members([write("run.dcd")], topology=other)
    assert "cannot read its first frame with this topology" in (only.problem or "")


@pytest.mark.parametrize(
    ("topology", "reason"),
    [(None, "give a structure file"), ("absent.pdb", "the topology"), ("empty.pdb", "polypeptide")],
)
def test_a_topology_that_does_not_do_is_one_problem(
    topology: str | None, reason: str, write: Callable[[str], Path], tmp_path: Path
) -> None:
    water = (
        "HETATM    1  O   HOH A   1       1.000   1.000   1.000  1.00  1.00           O  \nEND\n"
    )
    (tmp_path / "empty.pdb").write_text(water)
    given = None if topology is None else tmp_path / topology
    (only,) = members([write("run.dcd")], topology=given)
    assert reason in (only.problem or "")


def test_nothing_is_printed_between_the_tokens(
    write: Callable[[str], Path], structure: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write("run.dcd")
    capfd.readouterr()
    sys.stdout.write("before ")
    next(members([path], topology=structure))
    sys.stdout.write("after")
    sys.stdout.flush()
    assert capfd.readouterr().out == "before after"


def test_without_mdtraj_the_problem_names_the_extra(
    structure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(module: str, *, extra: str, purpose: str) -> None:
        msg = f"{purpose} needs {module}, install provq[{extra}]"
        raise MissingExtraError(msg)

    monkeypatch.setattr("provq_protein.sources.trajectory.require_extra", absent)
    (tmp_path / "run.dcd").write_bytes(b"x")
    (only,) = members([tmp_path / "run.dcd"], topology=structure)
    assert "install provq[trajectory]" in (only.problem or "")
