"""Do chains survive the way through MDTraj, and are its frames read as trajectory files are?"""

import os
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.interop import md
from provq_protein.interop.md import backbones_from_mdtraj, to_mdtraj
from provq_protein.sources import members
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones

pytestmark = pytest.mark.skipif(find_spec("mdtraj") is None, reason="needs the extra 'interop'")


@pytest.fixture(scope="module")
def ensemble(repo_root):
    """Return the 14 models of an NMR entry."""
    path = repo_root / "data" / "structures" / "1as5.cif.gz"
    return read_backbones(path, policy=ResiduePolicy(model="all"))


@pytest.fixture(scope="module")
def complex_of_two(repo_root):
    """Return two chains, one of them with an unresolved residue."""
    chains = read_backbones(repo_root / "data" / "structures" / "2xhe.pdb.gz")
    assert not chains[0].resolved.all()
    return chains


def test_models_become_frames_and_come_back(ensemble):
    trajectory = to_mdtraj(ensemble, times=np.arange(14) * 2.0)
    assert (trajectory.n_frames, trajectory.n_atoms) == (14, 24 * 3)
    assert trajectory.time.tolist() == [2.0 * frame for frame in range(14)]
    # MDTraj counts in nanometres.
    spans = np.ptp(trajectory.xyz[0], axis=0) * 10
    assert spans == pytest.approx(np.ptp(ensemble[0].coords.reshape(-1, 3), axis=0), abs=1e-3)
    again = list(backbones_from_mdtraj(trajectory, source="x.xtc"))
    assert [chain.model for chain in again] == list(range(1, 15))
    for chain, before in zip(again, ensemble, strict=True):
        assert np.abs(chain.coords - before.coords).max() < 1e-4
        assert chain.sequence == before.sequence
        assert chain.residue_names == before.residue_names
        assert chain.residue_ids == before.residue_ids
        assert chain.chain_id == before.chain_id
        assert chain.source == f"x.xtc!frame {chain.model}"


def test_several_chains_and_gaps(complex_of_two):
    trajectory = to_mdtraj([*complex_of_two, *complex_of_two])
    again = list(backbones_from_mdtraj(trajectory))
    assert [(chain.model, chain.chain_id) for chain in again] == [
        (1, "A"), (1, "B"), (2, "A"), (2, "B"),
    ]  # fmt: skip
    for chain, before in zip(again, [*complex_of_two, *complex_of_two], strict=True):
        known = before.resolved
        assert chain.resolved.all()
        assert chain.author_numbers.tolist() == before.author_numbers[known].tolist()
        assert np.abs(chain.coords - before.coords[known]).max() < 1e-4


def test_frames_are_read_as_from_a_file(repo_root, tmp_path):
    import mdtraj

    structure = repo_root / "data" / "structures" / "1a8o.pdb"
    trajectory = mdtraj.load_pdb(os.fspath(structure))
    trajectory.save_dcd(os.fspath(tmp_path / "run.dcd"))
    (member,) = members([tmp_path / "run.dcd"], topology=structure)
    (chain,) = backbones_from_mdtraj(trajectory)
    # The file counts in Angstrom, so that one of the two is rounded.
    assert np.abs(chain.coords - member.chain.coords).max() < 1e-4
    assert chain.residue_ids == member.chain.residue_ids
    assert chain.sequence == member.chain.sequence


def test_frames_that_do_not_fit_together_are_refused(ensemble, complex_of_two):
    with pytest.raises(StructureError, match="at least one"):
        to_mdtraj([])
    with pytest.raises(StructureError, match="A in 2, B in 1 frames"):
        to_mdtraj([complex_of_two[0], *complex_of_two])
    with pytest.raises(StructureError, match="frame 2 has 567 residues that are not the 24"):
        to_mdtraj([ensemble[0], complex_of_two[0]])
    coords = ensemble[1].coords.copy()
    coords[3, 1] = np.nan
    gapped = replace(ensemble[1], coords=coords, resolved=np.isfinite(coords).all(axis=(1, 2)))
    with pytest.raises(StructureError, match="residue 4 is resolved in some frames only"):
        to_mdtraj([ensemble[0], gapped])


def test_water_alone_is_no_chain(repo_root):
    import mdtraj

    trajectory = mdtraj.load_pdb(os.fspath(repo_root / "data" / "structures" / "1a8o.pdb"))
    water = trajectory.atom_slice(trajectory.topology.select("water"))
    with pytest.raises(StructureError, match="box: no polypeptide chain"):
        next(backbones_from_mdtraj(water, source="box"))


def test_an_absent_mdtraj_is_named(ensemble, monkeypatch):
    def absent(module, *, extra, purpose):
        msg = f"{purpose} needs {module}, install provq[{extra}]"
        raise MissingExtraError(msg)

    monkeypatch.setattr(md, "require_extra", absent)
    with pytest.raises(MissingExtraError, match=r"provq\[interop\]"):
        to_mdtraj(ensemble)
