"""From files and arrays to a store: nothing vanishes, homologs stay together."""

import json

import numpy as np
import pytest

from provq_protein.cli import main
from provq_protein.errors import StructureError
from provq_protein.training.array_import import array_chains, load_arrays, read_set
from provq_protein.training.prepare import select_chains, split_by_group
from provq_protein.training.store import load_store


@pytest.fixture
def array_file(tmp_path, make_coords):
    """Return a file in the array layout with three chains; the last has 5 residues."""
    lengths = (30, 40, 5)
    coords = np.concatenate([make_coords(length, i) for i, length in enumerate(lengths)])
    packed = np.full((75, 4, 3), -32768, dtype=np.int16)
    packed[:, :3] = np.round(coords * 100)
    packed[3, 1] = -32768
    path = tmp_path / "chains.npz"
    np.savez(
        path, offsets=np.cumsum([0, *lengths]), coords=packed, seq=np.full(75, b"A"),
        resnum=np.arange(75, dtype=np.int16), pdb=np.array(["1abc", "1abc", "2xyz"]),
        chain=np.array(["A", "B", "A"]), c30=np.array([0, 0, 1]),
    )  # fmt: skip
    return path


def test_arrays_become_backbones(array_file, make_coords):
    chains = list(array_chains(load_arrays(array_file), [0, 2]))
    assert [(chain.source, chain.chain_id, len(chain)) for chain in chains] == [
        ("1abc", "A", 30), ("2xyz", "A", 5),
    ]  # fmt: skip
    assert np.flatnonzero(~chains[0].resolved).tolist() == [3]
    known = chains[0].resolved
    assert np.abs(chains[0].coords[known] - make_coords(30, 0)[known]).max() <= 0.0051


def test_a_file_without_the_layout_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", coords=np.zeros(3))
    with pytest.raises(StructureError, match="lacks the arrays offsets"):
        load_arrays(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_text("no archive")
    with pytest.raises(StructureError, match="not a readable"):
        load_arrays(tmp_path / "y.npz")


def test_an_unknown_set_names_the_known_ones(tmp_path):
    (tmp_path / "sets.json").write_text(json.dumps({"train": [1], "test": [2]}))
    with pytest.raises(StructureError, match="has no set 'valid'; it has test, train"):
        read_set(tmp_path / "sets.json", "valid")


def test_short_chains_are_left_out_with_a_reason(array_file):
    chains = list(array_chains(load_arrays(array_file), range(3)))
    prepared = select_chains(chains, [0, 0, 1])
    assert len(prepared.backbones) == 2
    assert prepared.rejected == [("2xyz:A", "5 resolved residues, fewer than 16")]


def test_a_homology_group_is_never_split():
    groups = [number // 3 for number in range(60)]
    splits = split_by_group(groups, fraction=0.2, seed=1)
    assert splits.count("validation") == 12
    for group in range(20):
        assert len(set(splits[3 * group : 3 * group + 3])) == 1


def test_the_command_stores_arrays_and_reports_what_it_left_out(array_file, tmp_path, capsys):
    output = tmp_path / "store.h5"
    code = main(["prepare", str(array_file), "-o", str(output), "--validation-fraction", "0"])
    report = capsys.readouterr().err
    assert code == 1
    assert "2xyz:A: left out: 5 resolved residues" in report
    assert len(load_store(output)) == 2
    assert main(["prepare", str(array_file), "-o", str(output)]) == 2
    assert "use --overwrite" in capsys.readouterr().err


def test_the_command_stores_structure_files(sample_structures, tmp_path, capsys):
    output = tmp_path / "store.h5"
    broken = tmp_path / "broken.cif"
    broken.write_text("nothing")
    code = main(["prepare", *map(str, sample_structures), str(broken), "-o", str(output)])
    assert code == 1
    assert "broken.cif" in capsys.readouterr().err
    assert len(load_store(output)) >= len(sample_structures)
