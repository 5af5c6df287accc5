"""The model folder: what is written is what is read, and a stranger's folder is refused by name."""

import json

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs import checkpoint


@pytest.fixture
def folder(tiny_model, tmp_path):
    """Return a saved copy of the tiny model."""
    tiny_model.save(tmp_path / "model", training={"steps": 0})
    return tmp_path / "model"


def _edit(folder, change):
    document = json.loads((folder / checkpoint.CONFIG).read_text())
    change(document)
    (folder / checkpoint.CONFIG).write_text(json.dumps(document))


def test_a_loaded_model_gives_the_same_ids_coordinates_and_fingerprint(
    folder, tiny_model, batch_of, make_coords
):
    loaded = StructureAutoencoder.load(folder)
    batch = batch_of([make_coords(40, 0)])
    with torch.no_grad():
        ids = tiny_model.encode(*batch)
        assert torch.equal(loaded.encode(*batch), ids)
        assert torch.equal(loaded.decode(ids, *batch[1:]), tiny_model.decode(ids, *batch[1:]))
    assert loaded.fingerprint() == tiny_model.fingerprint()
    assert not loaded.training


def test_the_fingerprint_follows_encoder_and_codes_but_not_the_decoder(folder):
    model = StructureAutoencoder.load(folder)
    before = model.fingerprint()
    with torch.no_grad():
        model.decoder.from_latent.bias += 1.0
        assert model.fingerprint() == before
        model.quantizer.codebook.table[0, 0] += 1e-3
    assert model.fingerprint() != before


def test_a_missing_folder_or_file_is_named(tmp_path, folder):
    with pytest.raises(CheckpointError, match="nowhere: no such model folder"):
        StructureAutoencoder.load(tmp_path / "nowhere")
    (folder / checkpoint.WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such weights file"):
        StructureAutoencoder.load(folder)


def test_damaged_weights_are_named(folder):
    content = (folder / checkpoint.WEIGHTS).read_bytes()
    (folder / checkpoint.WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        StructureAutoencoder.load(folder)


def test_weights_of_another_size_are_refused_before_they_are_loaded(folder):
    _edit(folder, lambda document: document["model"]["codebook"].update(size=64))
    with pytest.raises(CheckpointError, match=r"table has shape \(32, 8\), expected \(64, 8\)"):
        StructureAutoencoder.load(folder)


def test_changed_weights_do_not_pass_for_the_recorded_ones(folder):
    _edit(folder, lambda document: document.update(fingerprint="0" * 16))
    with pytest.raises(CheckpointError, match="do not belong together"):
        StructureAutoencoder.load(folder)


def test_an_unknown_version_or_setting_is_refused(folder):
    _edit(folder, lambda document: document["model"]["codebook"].update(sise=3))
    with pytest.raises(CheckpointError, match="did you mean 'size'"):
        StructureAutoencoder.load(folder)
    _edit(folder, lambda document: document.update(format_version=99))
    with pytest.raises(CheckpointError, match="model format 99"):
        StructureAutoencoder.load(folder)


def test_saving_replaces_the_folder_whole(folder, tiny_model):
    (folder / "stray.txt").write_text("old")
    tiny_model.save(folder, training={})
    assert sorted(path.name for path in folder.iterdir()) == [checkpoint.CONFIG, checkpoint.WEIGHTS]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_building_leaves_the_global_random_state_alone(tiny_model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    StructureAutoencoder.build(tiny_model.config, seed=1)
    assert torch.equal(torch.rand(1), expected)
