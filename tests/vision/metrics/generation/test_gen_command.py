"""Does `provq-vision eval-gen` print, keep and refuse what it should?"""

import argparse
import subprocess
import sys

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ProvqError
from provq_vision.cli import evaluate_samples as command
from provq_vision.metrics import extractors
from provq_vision.metrics.generation.record import SampleScores
from provq_vision.metrics.generation.reference import Reference


@pytest.fixture
def call(monkeypatch, toy_samples):
    """Run the command as the program does, and return its exit code."""
    make = extractors.make_extractor
    monkeypatch.setattr(
        extractors,
        "make_extractor",
        lambda name, device: toy_samples if name == "toy" else make(name, device=device),
    )

    def run(*words):
        parser = argparse.ArgumentParser(allow_abbrev=False)
        command.add_parser(parser.add_subparsers(dest="command"))
        args = parser.parse_args([str(word) for word in ("eval-gen", "--features", "toy", *words)])
        return args.run(args)

    return run


@pytest.fixture
def files(npz, pixels):
    return npz("samples.npz", pixels(40, dark=60)), npz("real.npz", pixels(30, seed=1))


def test_numbers_are_printed_and_kept(call, files, tmp_path, capsys):
    samples, real = files
    assert call(samples, "--reference", real, "-o", tmp_path / "result.json") == 0
    result = SampleScores.load(tmp_path / "result.json")
    out, err = capsys.readouterr()
    assert f"FID {result.fid:.4f}\n" in out
    assert f"sFID {result.sfid:.4f} (toy/quarters)\n" in out
    assert f"Inception score {result.inception_score:.4f}\n" in out
    assert f"precision {result.precision:.4f}, recall {result.recall:.4f} (3 neighbors" in out
    assert "features: toy, weights 00000000" in out
    assert f"40 samples of 8 x 8 pixels, set {result.setting.samples[:16]}" in out
    assert "reference: 30 images of set " in out
    assert err == "40 samples evaluated\n"


def test_a_kept_reference_gives_the_same_numbers(call, files, tmp_path, capsys):
    samples, real = files
    kept = tmp_path / "kept.npz"
    assert call(samples, "--reference", real, "--save-reference", kept) == 0
    direct = capsys.readouterr().out
    assert call(samples, "--reference", kept) == 0
    assert capsys.readouterr().out == direct
    assert Reference.load(kept).n_images == 30


def test_a_limit_takes_samples_from_all_over(call, files, npz, pixels, tmp_path, capsys):
    samples, real = files
    assert call(samples, "--reference", real, "--limit", 10) == 0
    limited = capsys.readouterr().out
    every_fourth = npz("some.npz", pixels(40, dark=60)[::4])
    assert call(every_fourth, "--reference", real) == 0
    assert capsys.readouterr().out == limited


def test_folders_are_read_and_unreadable_images_listed(call, write_images, tmp_path, capsys):
    made = write_images(tmp_path / "made", 8)
    real = write_images(tmp_path / "real" / "test", 9, seed=1).parent
    write_images(tmp_path / "real" / "val", 2)
    (made / "bad.png").write_bytes(b"no image")
    options = ("--reference", real, "--reference-split", "test", "--size", 12, "--limit", 9)
    assert call(made, *options) == 1
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith("bad.png: ")
    assert "8 samples evaluated; 1 problem, listed above" in err
    assert "8 samples of 12 x 12 pixels" in out
    assert "reference: 9 images" in out


def test_statistics_alone_print_no_precision(call, files, tmp_path, toy_samples, capsys):
    toy_samples.id = "inception-v3-2015-12-05/toy"
    moments = {"mu": np.zeros(6), "sigma": np.eye(6), "mu_s": np.zeros(12), "sigma_s": np.eye(12)}
    np.savez(tmp_path / "statistics.npz", **moments)
    result = tmp_path / "result.json"
    assert call(files[0], "--reference", tmp_path / "statistics.npz", "-o", result) == 0
    out = capsys.readouterr().out
    assert "reference: statistics of set " in out
    assert "precision" not in out
    assert SampleScores.load(result).precision is None


@pytest.mark.parametrize("option", ["-o", "--save-reference"])
def test_nothing_is_replaced_unasked(call, files, tmp_path, option):
    path = tmp_path / "kept.npz"
    path.write_text("precious")
    with pytest.raises(ProvqError, match="--overwrite"):
        call(files[0], "--reference", files[1], option, path)
    assert path.read_text() == "precious"
    assert call(files[0], "--reference", files[1], option, path, "--overwrite") == 0
    assert path.read_text(errors="replace") != "precious"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--limit", 0), "--limit"),
        (("--limit", 3), "4 images or more"),
        (("--device", "tpu9"), "--device tpu9"),
        (("--size", 16), "8 x 8 pixels, expected 16 x 16"),
        (("--features", "vgg"), "features"),
        (("--features", "none"), "--features none"),
        (("--reference-split", "val"), "has no splits"),
        (("--save-reference", "kept.bin"), r"\.npz"),
        (("-o", "absent/result.json"), "does not exist"),
        (("--reference", "absent.npz"), "absent"),
    ],
)
def test_impossible_options_are_refused(call, files, options, words):
    with pytest.raises(ProvqError, match=words):
        call(files[0], "--reference", files[1], *options)


def test_samples_of_two_kinds_are_refused(call, files, tmp_path):
    with pytest.raises(ConfigError, match="either"):
        call(files[0], tmp_path, "--reference", files[1])


def test_help_needs_no_torch():
    program = (
        "import argparse, sys\n"
        "from provq_vision.cli import evaluate_samples\n"
        "evaluate_samples.add_parser(argparse.ArgumentParser().add_subparsers())\n"
        "sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
