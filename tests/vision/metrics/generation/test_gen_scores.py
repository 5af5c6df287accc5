"""Do the scores of generated images say what they claim, whatever batches the images come in?"""

import json

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_vision.images.listing import open_images
from provq_vision.metrics.generation.inception_score import inception_score
from provq_vision.metrics.generation.neighborhoods import precision_recall
from provq_vision.metrics.generation.record import SampleScores
from provq_vision.metrics.generation.samples import SampleFiles
from provq_vision.metrics.generation.scores import evaluate_samples


@pytest.fixture
def sets(npz, pixels):
    names = (("samples.npz", pixels(150, dark=60)), ("real.npz", pixels(130, seed=1)))
    return [SampleFiles.open([npz(name, images)]) for name, images in names]


@pytest.fixture
def result(sets, toy_samples):
    return evaluate_samples(*sets, extractor=toy_samples)


def _textbook(first, second):
    """The Frechet distance of the paper, by the eigenvalues of C1 C2."""
    a, b = first.numpy(), second.numpy()
    roots = np.sqrt(np.linalg.eigvals(np.cov(a.T) @ np.cov(b.T)).astype(complex)).real.sum()
    shift = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return shift + np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * roots


def test_each_number_is_of_its_own_features(result, pixels, toy_samples):
    images = (pixels(150, dark=60), pixels(130, seed=1))
    made, real = (
        toy_samples.perceive(torch.from_numpy(each.transpose(0, 3, 1, 2).copy())) for each in images
    )
    assert result.fid == pytest.approx(_textbook(made.pooled, real.pooled), rel=1e-9)
    assert result.sfid == pytest.approx(_textbook(made.spatial, real.spatial), rel=1e-9)
    assert result.inception_score == pytest.approx(inception_score(made.logits), rel=1e-6)
    near = precision_recall(made.pooled.float(), real.pooled.float())
    assert (result.precision, result.recall) == near
    assert near.precision != near.recall


def test_a_result_says_what_it_was_measured_on(result, sets, toy_samples):
    setting = result.setting
    assert setting.samples == f"{sets[0].content_hash()}/pixels-8"
    assert setting.reference == f"{sets[1].content_hash()}/pixels-8"
    assert (setting.n_samples, setting.n_reference, setting.n_reference_rows) == (150, 130, 130)
    assert (setting.size, setting.neighbors, setting.n_unreadable) == (8, 3, 0)
    names = (setting.extractor, setting.spatial_extractor, setting.weights_sha256)
    assert names == (toy_samples.id, toy_samples.spatial_id, toy_samples.weights_sha256)
    assert setting.torch == torch.__version__


@pytest.mark.parametrize("batch_size", [1, 7, 150])
def test_batch_size_changes_nothing(result, sets, toy_samples, batch_size):
    assert evaluate_samples(*sets, extractor=toy_samples, batch_size=batch_size) == result


def test_each_image_is_seen_once(sets, toy_samples):
    seen = []
    perceive = toy_samples.perceive
    toy_samples.perceive = lambda images: seen.append(len(images)) or perceive(images)
    steps = []
    evaluate_samples(*sets, extractor=toy_samples, progress=steps.append)
    assert sum(seen) == sum(steps) == 280


def test_image_files_are_cropped_and_unreadable_ones_listed(write_images, tmp_path, toy_samples):
    made = write_images(tmp_path / "made", 8, side=20)
    real = write_images(tmp_path / "real", 9, side=16, seed=1)
    for folder in (made, real):
        (folder / f"bad-{folder.name}.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match="say to which size"):
        evaluate_samples(open_images(made), open_images(real), extractor=toy_samples)
    found = evaluate_samples(open_images(made), open_images(real), extractor=toy_samples, size=12)
    assert sorted(name for name, _ in found.problems) == ["bad-made.png", "bad-real.png"]
    assert (found.setting.n_samples, found.setting.n_unreadable) == (8, 1)
    assert found.setting.n_reference == 9
    assert found.setting.samples.endswith("/center-12")


@pytest.mark.parametrize(
    ("counts", "words"),
    [((3, 9), "samples: .* 4 images or more"), ((9, 3), "the reference has 3 readable images")],
)
def test_too_few_images_are_refused(npz, pixels, toy_samples, counts, words):
    made, real = (SampleFiles.open([npz(f"{n}.npz", pixels(n))]) for n in counts)
    with pytest.raises(ImageError, match=words):
        evaluate_samples(made, real, extractor=toy_samples)


@pytest.mark.parametrize("size", [0, -8])
def test_impossible_sizes_are_refused(sets, toy_samples, size):
    with pytest.raises(ConfigError, match="size"):
        evaluate_samples(*sets, extractor=toy_samples, size=size)


def test_a_reference_of_another_size_is_refused(sets, npz, pixels, toy_samples):
    large = SampleFiles.open([npz("large.npz", pixels(9, size=16))])
    with pytest.raises(ImageError, match="16 x 16 pixels, expected 8 x 8"):
        evaluate_samples(sets[0], large, extractor=toy_samples)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_network_with_broken_weights_is_refused(sets, toy_samples, part):
    perceive = toy_samples.perceive

    def broken(images):
        found = list(perceive(images))
        found[part] = found[part] * torch.nan
        return type(perceive(images))(*found)

    toy_samples.perceive = broken
    with pytest.raises(CheckpointError, match="not finite"):
        evaluate_samples(*sets, extractor=toy_samples)


def test_features_of_another_number_than_announced_are_refused(sets, toy_samples):
    toy_samples.spatial_dim = 13
    with pytest.raises(CheckpointError, match="expected"):
        evaluate_samples(*sets, extractor=toy_samples)


def test_a_result_survives_a_file(result, tmp_path):
    result.save(tmp_path / "result.json")
    assert SampleScores.load(tmp_path / "result.json") == result
    odd = SampleScores(
        setting=result.setting,
        fid=1.0,
        sfid=2.0,
        inception_score=3.0,
        precision=None,
        recall=None,
        problems=(("a", "b"),),
    )
    assert SampleScores.from_json(json.loads(json.dumps(odd.to_json()))) == odd


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "provq-image-evaluation"}, "provq-sample-evaluation"),
        ({"format_version": 2}, "version"),
        ({"fid": "low"}, "fid"),
        ({"fid": float("nan")}, "finite"),
        ({"is": 3.0}, "unknown key"),
        ({"problems": [["a"]]}, "problems"),
        ({"setting": {}}, "missing"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(result, change, words):
    with pytest.raises(ConfigError, match=words):
        SampleScores.from_json(result.to_json() | change)
