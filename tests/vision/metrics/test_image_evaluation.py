"""Do the numbers of an evaluation say what they claim, whatever batches the images come in?"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_vision.images.batches import center_batches
from provq_vision.images.crops import to_bytes, to_floats
from provq_vision.images.listing import open_images
from provq_vision.metrics.evaluation import evaluate, feature_sums
from provq_vision.metrics.fidelity import psnr, ssim, ssim_llamagen
from provq_vision.metrics.record import Evaluation


@pytest.fixture(scope="module")
def images(hundred_images):
    return open_images(hundred_images)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


@pytest.fixture(scope="module")
def originals(images):
    (batch,) = center_batches(images, size=16, batch_size=100)
    return batch.images


@pytest.fixture(scope="module")
def result(model, images):
    return evaluate(model, images, size=16)


def _counts(ids):
    return np.bincount(ids.flatten().numpy(), minlength=32)


def _perplexity(ids):
    shares = _counts(ids) / ids.numel()
    shares = shares[shares > 0]
    return math.exp(-(shares * np.log(shares)).sum())


def test_images_are_compared_with_what_their_tokens_decode_to(result, model, originals):
    outputs = torch.cat(
        [to_bytes(model.decode(model.encode(to_floats(each[None])))) for each in originals]
    )
    fidelity = result.fidelity
    assert fidelity.psnr == pytest.approx(psnr(outputs, originals).mean().item(), rel=1e-4)
    assert fidelity.ssim == pytest.approx(ssim(outputs, originals).mean().item(), rel=1e-3)
    expected = ssim_llamagen(outputs, originals).mean().item()
    assert fidelity.ssim_llamagen == pytest.approx(expected, rel=1e-3)
    assert (fidelity.n_identical, result.frechet) == (0, None)


def test_codes_are_counted_over_all_images_and_in_groups(result, model, originals):
    ids = model.encode(to_floats(originals))
    (codes,) = result.codes
    assert codes.n_tokens == ids.numel() == 100 * 64
    assert codes.perplexity == pytest.approx(_perplexity(ids), rel=1e-6)
    assert codes.utilization == (_counts(ids) > 0).mean()
    # Of 100 images there is one complete group of 64.
    assert (codes.n_groups, codes.tokens_per_group) == (1, 64 * 64)
    assert codes.group_perplexity == pytest.approx(_perplexity(ids[:64]), rel=1e-6)
    assert codes.group_utilization == (_counts(ids[:64]) > 0).mean()


def test_few_images_are_one_group(model, images, originals):
    (codes,) = evaluate(model, images.select(range(10)), size=16).codes
    ids = model.encode(to_floats(originals[:10]))
    assert (codes.n_groups, codes.tokens_per_group) == (1, 10 * 64)
    assert codes.group_perplexity == pytest.approx(_perplexity(ids), rel=1e-6)


def test_latents_are_measured_before_quantization(result, model, originals):
    with torch.no_grad():
        lengths = model.embed(to_floats(originals)).norm(dim=-1)
    assert result.latent_norm == pytest.approx(lengths.mean().item(), rel=1e-5)


def test_distances_of_codes_are_of_both_tables(tiny_model, images):
    model = tiny_model("vanilla_l2")
    with torch.no_grad():
        model.quantizer.codebook.inner.table *= 3.0
    (codes,) = evaluate(model, images.select(range(2)), size=16).codes
    for table, distance, with_diagonal in (
        (model.codebook(), codes.distance, codes.distance_with_diagonal),
        (
            model.quantizer.codebook.raw_codes(),
            codes.distance_raw,
            codes.distance_raw_with_diagonal,
        ),
    ):
        matrix = torch.cdist(table.double(), table.double())
        assert distance == pytest.approx(matrix.sum().item() / (32 * 31), rel=1e-6)
        assert with_diagonal == pytest.approx(matrix.mean().item(), rel=1e-6)
    assert codes.distance_raw == pytest.approx(3 * codes.distance)


def test_levels_of_a_residual_codebook_are_counted_apart(tiny_model, images):
    model = tiny_model("rvq")
    few = images.select(range(4))
    levels = evaluate(model, few, size=16).codes
    (batch,) = center_batches(few, size=16, batch_size=4)
    ids = model.encode(to_floats(batch.images))
    assert len(levels) == ids.shape[-1] == 2
    for level, codes in enumerate(levels):
        assert codes.n_tokens == 4 * 64
        assert codes.perplexity == pytest.approx(_perplexity(ids[..., level]), rel=1e-6)


@pytest.mark.parametrize("batch_size", [7, 100])
def test_batch_size_changes_nothing(model, images, toy_features, batch_size):
    one, other = (
        evaluate(model, images, size=16, eval_size=12, batch_size=each, extractor=toy_features)
        for each in (64, batch_size)
    )
    assert one.codes == other.codes
    assert (one.setting, one.problems) == (other.setting, other.problems)
    # A convolution rounds differently in another batch, and one byte in many thousands with it.
    for name in ("psnr", "ssim", "ssim_llamagen"):
        value = getattr(one.fidelity, name)
        assert getattr(other.fidelity, name) == pytest.approx(value, abs=1e-4)
    assert other.frechet.rfid == pytest.approx(one.frechet.rfid, rel=1e-4)


def test_an_evaluation_repeats_exactly(model, images, toy_features):
    few = images.select(range(20))
    results = [evaluate(model, few, size=16, extractor=toy_features) for _ in range(2)]
    assert results[0] == results[1]


def test_a_result_says_what_it_was_measured_on(result, model, images):
    setting = result.setting
    assert setting.model == model.fingerprint()
    assert setting.images == images.content_hash()
    assert (setting.n_images, setting.n_unreadable) == (100, 0)
    assert (setting.size, setting.eval_size) == (16, 16)
    assert (setting.token_rows, setting.token_columns, setting.codebook_size) == (8, 8, 32)
    assert setting.torch == torch.__version__


def test_a_frechet_distance_says_what_it_was_measured_with(model, images, toy_features):
    found = evaluate(model, images, size=16, extractor=toy_features).frechet
    assert (found.extractor, found.weights_sha256) == ("toy", "0" * 64)
    assert (found.is_paired, found.n_images, found.n_reference) == (True, 100, 100)
    assert found.reference == f"{images.content_hash()}/center-16"
    assert found.rfid > 0.0


def test_a_reference_is_compared_with_as_a_set(model, images, toy_features, tmp_path):
    few = images.select(range(40))
    own = evaluate(model, few, size=16, extractor=toy_features).frechet
    # The originals named as a reference give what they give as originals.
    same = evaluate(model, few, size=16, extractor=toy_features, reference=few).frechet
    assert same == replace(own, is_paired=False)
    other = images.select(range(40, 100))
    found = evaluate(model, few, size=16, extractor=toy_features, reference=other).frechet
    assert (found.n_images, found.n_reference) == (40, 60)
    assert found.rfid != own.rfid
    feature_sums(other, extractor=toy_features, size=16).save(tmp_path / "sums.npz")
    kept = type(feature_sums(other, extractor=toy_features, size=16)).load(tmp_path / "sums.npz")
    again = evaluate(model, few, size=16, extractor=toy_features, reference=kept).frechet
    assert again == found


def test_both_are_resized_before_they_are_compared(model, images, originals, toy_features):
    few, batch = images.select(range(5)), originals[:5]
    result = evaluate(model, few, size=16, eval_size=12, extractor=toy_features)
    with torch.no_grad():
        floats = to_floats(batch)
        outputs = model.decode(model.encode(floats))
    small = [
        to_bytes(torch.nn.functional.interpolate(each, size=(12, 12), mode="bicubic"))
        for each in (outputs, floats)
    ]
    assert result.fidelity.psnr == pytest.approx(psnr(*small).mean().item(), rel=1e-4)
    assert (result.setting.size, result.setting.eval_size) == (16, 12)
    assert result.setting.token_rows == 8
    assert result.frechet.reference.endswith("/center-16-bicubic-12")


def test_unreadable_images_are_left_out_and_listed(model, tmp_path, write_images, toy_features):
    folder = write_images(tmp_path, 9)
    whole = evaluate(model, open_images(folder), size=16)
    (folder / "0004a.png").write_bytes(b"no image")
    images = open_images(folder)
    result = evaluate(
        model, images, size=16, batch_size=2, extractor=toy_features, reference=images
    )
    assert (result.setting.n_images, result.setting.n_unreadable) == (9, 1)
    # Once as an original, once in the reference set.
    assert [name for name, _ in result.problems] == ["0004a.png"] * 2
    assert all(reason for _, reason in result.problems)
    assert result.fidelity.psnr == pytest.approx(whole.fidelity.psnr, rel=1e-5)
    assert result.codes == whole.codes


def test_progress_counts_every_image(model, images):
    done = []
    evaluate(model, images, size=16, batch_size=30, progress=done.append)
    assert done == [30, 30, 30, 10]


def test_the_mode_of_the_model_is_left_alone(tiny_model, images):
    model = tiny_model("ema").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, images.select(range(3)), size=16)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_images_reproduced_exactly_are_counted_apart(model, images, monkeypatch):
    few = images.select(range(3))
    (batch,) = center_batches(few, size=16, batch_size=3)
    exact = to_floats(batch.images)
    exact[1] = -exact[1]
    monkeypatch.setattr(model, "decode", lambda indices: exact)
    fidelity = evaluate(model, few, size=16).fidelity
    expected = psnr(to_bytes(exact), batch.images)[1].item()
    assert (fidelity.n_identical, fidelity.psnr) == (2, pytest.approx(expected))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"size": 15}, ConfigError, r"multiple of the model's downsampling \(2\), got 15; try 1"),
        ({"size": 0}, ConfigError, "got 0; try 2"),
        ({"size": 16, "eval_size": 6}, ConfigError, "eval_size: expected 7 or more"),
        ({"size": 16, "batch_size": 0}, ConfigError, "batch_size: expected 1"),
    ],
)
def test_impossible_sizes_are_refused(model, images, options, error, words):
    with pytest.raises(error, match=words):
        evaluate(model, images, **options)


def test_a_reference_needs_an_extractor_and_two_images(model, images, toy_features):
    few = images.select(range(3))
    with pytest.raises(ConfigError, match="feature extractor only"):
        evaluate(model, few, size=16, reference=few)
    for count in (0, 1):
        with pytest.raises((ConfigError, ImageError), match=r"2 or more|is empty"):
            evaluate(
                model, few, size=16, extractor=toy_features, reference=images.select(range(count))
            )
    with pytest.raises(ImageError, match="2 images or more, got 1"):
        evaluate(model, images.select([0]), size=16, extractor=toy_features)
    other = feature_sums(few, extractor=toy_features, size=16)
    other.extractor = "another"
    with pytest.raises(ConfigError, match="different extractors"):
        evaluate(model, few, size=16, extractor=toy_features, reference=other)


def test_no_image_at_all_is_refused(model, images, tmp_path):
    with pytest.raises(ConfigError, match="empty"):
        evaluate(model, images.select([]), size=16)
    (tmp_path / "only.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"only\.png"):
        evaluate(model, open_images(tmp_path), size=16)


@pytest.mark.parametrize("part", ["encoder.conv_in.weight", "decoder.conv_out.weight"])
def test_a_model_with_broken_weights_is_refused(tiny_model, images, part):
    model = tiny_model()
    with torch.no_grad():
        model.get_parameter(part).fill_(torch.nan)
    with pytest.raises(CheckpointError, match="finite"):
        evaluate(model, images.select(range(2)), size=16)


def test_a_result_survives_a_file(tmp_path, model, images, toy_features, write_images):
    (write_images(tmp_path / "few", 3) / "bad.png").write_bytes(b"")
    result = evaluate(model, open_images(tmp_path / "few"), size=16, extractor=toy_features)
    for each in (result, replace(result, frechet=None, problems=())):
        each.save(tmp_path / "new" / "result.json")
        assert Evaluation.load(tmp_path / "new" / "result.json") == each
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "provq-image-evaluation"),
        ({"format_version": 2}, "version 1"),
        ({"extra": 1}, "unknown key"),
        ({"latent_norm": "long"}, "latent_norm"),
        ({"codes": [{}]}, "codes: 0"),
        ({"codes": {}}, "codes"),
        ({"frechet": {"rfid": 1.0}}, "frechet"),
        ({"frechet": 3}, "frechet"),
        ({"problems": [["name"]]}, "problems"),
        ({"fidelity": {}}, "fidelity"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(result, change, words):
    with pytest.raises(ConfigError, match=words):
        Evaluation.from_json({**result.to_json(), **change})


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_without_a_document_is_refused(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"result\.json"):
        Evaluation.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        Evaluation.load(tmp_path / "absent.json")


def test_a_missing_entry_is_refused(result):
    document = json.loads(json.dumps(result.to_json()))
    del document["setting"]["images"]
    with pytest.raises(ConfigError, match="images: missing"):
        Evaluation.from_json(document)
