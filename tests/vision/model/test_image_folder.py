"""The folder of an image model: what is written is what is read, and a stranger's is refused."""

import json

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.quantize import METHODS
from provq_protein.runs import checkpoint
from provq_vision.model import CodebookConfig, ImageAutoencoder, ImageModelConfig, NetworkConfig

NETWORK = NetworkConfig(
    channels=8, multipliers=(1, 2), res_blocks=1, latent_channels=16, norm_groups=4, patch=1
)


def build(method: str = "vanilla") -> ImageAutoencoder:
    codebook = CodebookConfig(method=method, size=16, dim=4, commitment_weight=0.25)  # pyright: ignore[reportArgumentType]
    return ImageAutoencoder.build(ImageModelConfig(network=NETWORK, codebook=codebook), seed=3)


@pytest.fixture
def folder(tmp_path):
    """Return a saved model."""
    build().save(tmp_path / "model", training={"steps": 0})
    return tmp_path / "model"


def _edit(folder, change):
    document = json.loads((folder / checkpoint.CONFIG).read_text())
    change(document)
    (folder / checkpoint.CONFIG).write_text(json.dumps(document))


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_a_loaded_model_gives_the_same_ids_images_and_fingerprint(method, tmp_path):
    model = build(method)
    model.save(tmp_path / "model", training={"steps": 0})
    loaded = ImageAutoencoder.load(tmp_path / "model")
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    indices = model.encode(images)
    assert torch.equal(loaded.encode(images), indices)
    assert torch.equal(loaded.decode(indices), model.decode(indices))
    assert loaded.fingerprint() == model.fingerprint()
    assert loaded.config == model.config
    assert not loaded.training


def test_the_fingerprint_follows_encoder_and_codes_but_not_the_decoder():
    model = build()
    before = model.fingerprint()
    with torch.no_grad():
        model.decoder.conv_out.bias += 1.0
        model.post_quant_conv.bias += 1.0
        assert model.fingerprint() == before
        model.quant_conv.bias[0] += 1e-3
        changed = model.fingerprint()
        assert changed != before
        model.quantizer.codebook.table[0, 0] += 1e-3
    assert model.fingerprint() not in (before, changed)


def test_a_model_in_double_precision_is_kept_in_single(tmp_path):
    model = build()
    before = model.fingerprint()
    assert model.double().fingerprint() == before
    model.save(tmp_path / "model", training={})
    assert ImageAutoencoder.load(tmp_path / "model").fingerprint() == before


def test_a_missing_folder_or_file_is_named(tmp_path, folder):
    with pytest.raises(CheckpointError, match="nowhere: no such model folder"):
        ImageAutoencoder.load(tmp_path / "nowhere")
    (folder / checkpoint.WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such weights file"):
        ImageAutoencoder.load(folder)


def test_damaged_weights_are_named(folder):
    content = (folder / checkpoint.WEIGHTS).read_bytes()
    (folder / checkpoint.WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        ImageAutoencoder.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["model"]["codebook"].update(size=64),
            r"table has shape \(16, 4\), expected \(64, 4\); was it made with another",
        ),
        (lambda d: d["model"]["codebook"].update(method="simvq"), "2 tensors are absent"),
        (lambda d: d["model"]["codebook"].update(sise=3), "did you mean 'size'"),
        (lambda d: d["model"]["network"].update(channels=6), "must divide every width, got 6"),
        (lambda d: d.update(fingerprint="0" * 16), "do not belong together"),
        (lambda d: d["model"]["codebook"].update(commitment_weight=1.0), "do not belong together"),
        (lambda d: d.update(format_version=99), "model format 99; this release reads 1"),
        (lambda d: d.update(format="provq-model"), "is no image model .*'provq-model'"),
    ],
)
def test_a_configuration_of_another_model_is_refused(change, message, folder):
    _edit(folder, change)
    with pytest.raises(CheckpointError, match=message):
        ImageAutoencoder.load(folder)


def test_saving_replaces_the_folder_whole(folder):
    (folder / "stray.txt").write_text("old")
    build().save(folder, training={})
    assert sorted(path.name for path in folder.iterdir()) == [checkpoint.CONFIG, checkpoint.WEIGHTS]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
