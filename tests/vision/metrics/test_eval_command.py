"""Does `provq-vision eval` print, keep and refuse what it should?"""

import argparse
import subprocess
import sys

import pytest

from provq_protein.errors import CheckpointError, ConfigError, ProvqError
from provq_vision.cli import evaluate as command
from provq_vision.images.listing import open_images
from provq_vision.metrics import extractors
from provq_vision.metrics.evaluation import evaluate, feature_sums
from provq_vision.metrics.record import Evaluation


@pytest.fixture(scope="module")
def folder(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny"
    tiny_model().save(path, training={})
    return path


@pytest.fixture
def call(folder):
    """Run the command as the program does, and return its exit code."""

    def run(*options, data):
        parser = argparse.ArgumentParser(allow_abbrev=False)
        command.add_parser(parser.add_subparsers(dest="command"))
        words = ["eval", "--model", folder, "--data", data, "--size", 16, *options]
        args = parser.parse_args([str(word) for word in words])
        return args.run(args)

    return run


def test_numbers_are_printed_and_kept(call, tiny_model, hundred_images, tmp_path, capsys):
    assert call("-o", tmp_path / "result.json", data=hundred_images) == 0
    result = Evaluation.load(tmp_path / "result.json")
    assert result == evaluate(tiny_model(), open_images(hundred_images), size=16)
    out, err = capsys.readouterr()
    assert f"PSNR {result.fidelity.psnr:.3f} dB" in out
    assert f"SSIM {result.fidelity.ssim:.4f}" in out
    assert f"perplexity {result.codes[0].perplexity:.1f}" in out
    assert "6,400 tokens" in out
    assert result.setting.model in out
    assert "rFID" not in out
    assert "100 images evaluated" in err


def test_unreadable_images_are_listed(call, write_images, tmp_path, capsys):
    data = write_images(tmp_path / "data", 4)
    (data / "bad.png").write_bytes(b"no image")
    assert call("-o", tmp_path / "result.json", data=data) == 1
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith("bad.png: ")
    assert "4 images evaluated; 1 problem, listed above" in err
    assert "4 images" in out
    assert Evaluation.load(tmp_path / "result.json").setting.n_unreadable == 1


def test_rfid_is_printed_with_what_it_depends_on(
    call, hundred_images, monkeypatch, toy_features, tmp_path, capsys
):
    monkeypatch.setattr(extractors, "make_extractor", lambda name, device: toy_features)
    assert call("--features", "toy", data=hundred_images) == 0
    out = capsys.readouterr().out
    assert "(toy, weights 00000000, N 100 against 100 of the originals)" in out
    images = open_images(hundred_images)
    feature_sums(images.select(range(30)), extractor=toy_features, size=16).save(
        tmp_path / "sums.npz"
    )
    for reference, count in ((tmp_path / "sums.npz", 30), (hundred_images, 100)):
        options = ("--features", "toy", "--reference", reference, "--limit", 50)
        assert call(*options, data=hundred_images) == 0
        assert f"N 50 against {count} of " in capsys.readouterr().out


def test_a_limit_takes_images_from_all_over_the_set(call, hundred_images, tmp_path):
    assert call("--limit", 4, "-o", tmp_path / "four.json", data=hundred_images) == 0
    images = open_images(hundred_images).select([0, 25, 50, 75])
    assert Evaluation.load(tmp_path / "four.json").setting.images == images.content_hash()
    assert call("--limit", 400, "-o", tmp_path / "all.json", data=hundred_images) == 0
    assert Evaluation.load(tmp_path / "all.json").setting.n_images == 100


def test_a_result_is_not_replaced_unasked(call, hundred_images, tmp_path):
    path = tmp_path / "result.json"
    path.write_text("precious")
    with pytest.raises(ProvqError, match="--overwrite"):
        call("-o", path, data=hundred_images)
    assert path.read_text() == "precious"
    assert call("-o", path, "--overwrite", "--limit", 2, data=hundred_images) == 0
    assert Evaluation.load(path).setting.n_images == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--limit", 0), "--limit"),
        (("--device", "tpu9"), "--device tpu9"),
        (("--size", 17), "size"),
        (("--features", "vgg"), "features"),
        (("--reference", "sums.npz"), "sums.npz"),
        (("--split", "val"), "val"),
    ],
)
def test_impossible_options_are_refused(call, hundred_images, options, words):
    with pytest.raises((ConfigError, CheckpointError), match=words):
        call(*options, data=hundred_images)


def test_a_missing_model_is_refused(call, hundred_images, tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        call("--model", tmp_path / "absent", data=hundred_images)


def test_help_needs_no_torch():
    program = (
        "import argparse, sys\n"
        "from provq_vision.cli import evaluate\n"
        "evaluate.add_parser(argparse.ArgumentParser().add_subparsers())\n"
        "sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
