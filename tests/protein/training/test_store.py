"""The chain store: what goes in comes out; strangers and damage are refused by name."""

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.training.store import build_store, load_store, save_store

h5py = pytest.importorskip("h5py", reason="the chain store needs the extra 'train'")


@pytest.fixture
def path(tiny_store, tmp_path):
    """Return a saved store."""
    save_store(tmp_path / "chains.h5", tiny_store, provenance="test")
    return tmp_path / "chains.h5"


def test_chains_come_back_as_they_were(path, tiny_store):
    loaded = load_store(path)
    assert loaded.names == tiny_store.names
    assert loaded.content_hash() == tiny_store.content_hash()
    for chain in range(len(loaded)):
        before, after = tiny_store.backbone(chain), loaded.backbone(chain)
        assert np.array_equal(before.coords, after.coords, equal_nan=True)
        assert np.array_equal(before.resolved, after.resolved)
        assert before.sequence == after.sequence
        assert np.array_equal(before.author_numbers, after.author_numbers)


def test_splits_are_disjoint_and_whole(tiny_store):
    train, validation = tiny_store.select("train"), tiny_store.select("validation")
    assert sorted([*train, *validation]) == list(range(len(tiny_store)))


def test_the_hash_sees_a_moved_atom_and_a_changed_split(tiny_store):
    backbones = [tiny_store.backbone(chain) for chain in range(len(tiny_store))]
    splits = ["train"] * len(backbones)
    first = build_store(backbones, splits).content_hash()
    assert build_store(backbones, ["validation", *splits[1:]]).content_hash() != first
    backbones[0].coords[0, 0, 0] += 0.01
    assert build_store(backbones, splits).content_hash() != first


def test_damage_is_found(path):
    with h5py.File(path, "r+") as handle:
        handle["coords"][0, 0, 0] = 5.0
    with pytest.raises(StructureError, match="does not match its recorded hash"):
        load_store(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(StructureError, match=r"no such file.*provq-protein prepare"):
        load_store(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(StructureError, match="not a readable chain store"):
        load_store(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as handle:
        handle["x"] = 1
    with pytest.raises(StructureError, match="no chain store"):
        load_store(tmp_path / "other.h5")


def test_an_empty_store_is_refused():
    with pytest.raises(StructureError, match="no chain"):
        build_store([], [])
