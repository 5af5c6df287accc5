"""Is the Inception score that of the formula, and free of the order of the samples?"""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch

from provq_protein.errors import ImageError
from provq_vision.metrics.generation import inception_score as module
from provq_vision.metrics.generation.inception_score import inception_score


def _logits(count, classes=7, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(count, classes, generator=generator)


def _textbook(logits):
    """The formula of the paper, with probabilities."""
    raised = np.exp(logits.double().numpy())
    given = raised / raised.sum(axis=1, keepdims=True)
    return np.exp((given * np.log(given / given.mean(axis=0))).sum(axis=1).mean())


@pytest.mark.parametrize("count", [1, 2, 300])
def test_score_is_that_of_the_formula(count):
    logits = _logits(count)
    assert inception_score(logits) == pytest.approx(_textbook(logits), rel=1e-12)


def test_splits_are_averaged_and_an_incomplete_one_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "SPLIT", 40)
    logits = _logits(90)
    order = np.random.default_rng(0).permutation(90)
    expected = np.mean([_textbook(logits[order[:40]]), _textbook(logits[order[40:80]])])
    assert inception_score(logits) == pytest.approx(expected, rel=1e-12)
    # Fewer than one split are one.
    assert inception_score(logits[:39]) == pytest.approx(_textbook(logits[:39]), rel=1e-12)


def test_samples_sorted_by_class_are_shuffled(monkeypatch):
    monkeypatch.setattr(module, "SPLIT", 50)
    # Each class alone has the score 1, four of them mixed have about 4.
    logits = 20 * torch.eye(4).repeat_interleave(50, dim=0)
    assert inception_score(logits) > 3.7
    assert inception_score(logits) == inception_score(logits)


def test_published_splits_have_five_thousand_images():
    assert module.SPLIT == 5000


def test_classes_of_probability_zero_are_no_trouble():
    logits = torch.tensor([[0.0, -1e4, -1e4], [-1e4, 0.0, -1e4]])
    assert inception_score(logits) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("logits", "words"),
    [(torch.zeros(0, 3), "one image or more"), (torch.full((4, 3), torch.nan), "finite")],
)
def test_what_has_no_score_is_refused(logits, words):
    with pytest.raises(ImageError, match=words):
        inception_score(logits)


@pytest.fixture
def torch_fidelity(monkeypatch):
    """The package, beside an empty torchvision where there is none: its formulas need none."""
    if find_spec("torch_fidelity") is None:
        pytest.skip("torch-fidelity is not installed")
    loaded = set(sys.modules)
    if find_spec("torchvision") is None:
        inner = ("transforms", "transforms.functional", "datasets")
        for name in ("torchvision", *(f"torchvision.{each}" for each in inner)):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        for name in ("CIFAR10", "CIFAR100", "STL10"):
            monkeypatch.setattr(sys.modules["torchvision.datasets"], name, object, raising=False)
        vision = sys.modules["torchvision"]
        vision.transforms = sys.modules["torchvision.transforms"]
        vision.transforms.functional = sys.modules["torchvision.transforms.functional"]
    yield pytest.importorskip("torch_fidelity.metric_isc")
    for name in set(sys.modules) - loaded:
        if name.startswith("torch_fidelity"):
            del sys.modules[name]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_score_is_that_of_torch_fidelity(torch_fidelity):
    logits = _logits(500, 100)
    expected = torch_fidelity.isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    assert inception_score(logits) == pytest.approx(expected, rel=1e-10)
