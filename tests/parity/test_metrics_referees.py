"""Do independent implementations agree with our similarity scores?"""

import json

import numpy as np
import pytest

from provq_protein.geometry.similarity import lddt_ca, rmsd, tm_score
from provq_protein.geometry.superpose import apply_motion, superpose

pytestmark = pytest.mark.parity


def make_pairs():
    """Yield named pairs (predicted, reference) of CA positions with different kinds of error."""
    rng = np.random.default_rng(0)
    for count in (30, 90, 220):
        steps = rng.normal(size=(count, 3)) + np.sin(np.arange(count) / 6)[:, None]
        chain = 3.8 * np.cumsum(steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
        yield f"noise-{count}", chain + rng.normal(0, 1, chain.shape), chain
        drift = np.cumsum(rng.normal(0, 0.3, chain.shape), axis=0)
        yield f"drift-{count}", chain + drift, chain
        bent = chain.copy()
        bent[count // 2 :, [0, 1]] = bent[count // 2 :, [1, 0]] * [-1, 1]
        yield f"bent-{count}", bent, chain


PAIRS = [pytest.param(mobile, target, id=name) for name, mobile, target in make_pairs()]


def atom_array(structure, ca):
    atoms = structure.AtomArray(len(ca))
    atoms.coord = ca.astype(np.float32)
    atoms.atom_name[:], atoms.res_name[:], atoms.element[:] = "CA", "ALA", "C"
    atoms.chain_id[:] = "A"
    atoms.res_id[:] = np.arange(1, len(ca) + 1)
    return atoms


@pytest.mark.parametrize(("mobile", "target"), PAIRS)
def test_biotite_agrees_on_rmsd_and_lddt(mobile, target):
    structure = pytest.importorskip("biotite.structure")
    fitted, _ = structure.superimpose(target.astype(np.float32), mobile.astype(np.float32))
    reference, subject = atom_array(structure, target), atom_array(structure, mobile)

    expected = structure.rmsd(target.astype(np.float32), fitted)
    assert rmsd(mobile[:, None], target[:, None]) == pytest.approx(float(expected), abs=1e-3)
    per_residue = structure.lddt(reference, subject, aggregation="residue")
    assert lddt_ca(mobile, target) == pytest.approx(float(np.mean(per_residue)), abs=1e-4)


@pytest.mark.parametrize(("mobile", "target"), PAIRS)
def test_mdtraj_agrees_on_rmsd(mobile, target):
    mdtraj = pytest.importorskip("mdtraj")
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in target:
        topology.add_atom("CA", mdtraj.element.carbon, topology.add_residue("ALA", chain))
    frames = mdtraj.Trajectory(np.stack([target, mobile]) / 10, topology)

    expected = 10 * float(mdtraj.rmsd(frames, frames, 0)[1])
    assert rmsd(mobile[:, None], target[:, None]) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize(("mobile", "target"), PAIRS)
def test_biotite_scores_no_superposition_higher_than_the_one_we_search(mobile, target):
    structure = pytest.importorskip("biotite.structure")
    reference = atom_array(structure, target)
    rows = np.arange(len(target))
    found = tm_score(mobile, target)

    def referee(motion):
        subject = atom_array(structure, apply_motion(mobile, *motion))
        return structure.tm_score(reference, subject, rows, rows, len(target))

    windows = [(0, len(rows)), *((i, i + 12) for i in range(0, len(rows) - 12, 5))]
    scores = [referee(superpose(mobile[i:j], target[i:j])) for i, j in windows]
    assert found >= max(scores) - 1e-4


@pytest.mark.parametrize(("mobile", "target"), PAIRS)
def test_tm_align_agrees_where_its_alignment_is_the_identity(mobile, target):
    tmtools = pytest.importorskip("tmtools")
    letters = "A" * len(target)
    aligned = tmtools.tm_align(mobile, target, letters, letters)
    found = tm_score(mobile, target)

    # TM-align may choose another alignment, so it can only lose against ours by its own search.
    assert found <= aligned.tm_norm_chain2 + 0.03
    if aligned.seqxA == aligned.seqyA == letters:
        assert found == pytest.approx(aligned.tm_norm_chain2, abs=2e-3)


def test_tm_align_agrees_on_perturbed_real_chains(shared_data):
    tmtools = pytest.importorskip("tmtools")
    arrays = np.load(shared_data / "backbones.npz", allow_pickle=False)
    records = json.loads((shared_data / "sets.json").read_text())["casp14"][:6]
    rng = np.random.default_rng(3)
    compared = 0
    for record in records:
        start, stop = arrays["offsets"][record : record + 2]
        raw = arrays["coords"][start:stop, 1]
        target = raw[(raw != -32768).all(-1)] / 100
        mobile = target + rng.normal(0, 1.5, target.shape)
        letters = "A" * len(target)
        aligned = tmtools.tm_align(mobile, target, letters, letters)
        if aligned.seqxA == aligned.seqyA == letters:
            compared += 1
            expected = pytest.approx(aligned.tm_norm_chain2, abs=2e-3)
            assert tm_score(mobile, target) == expected
    assert compared >= 3
