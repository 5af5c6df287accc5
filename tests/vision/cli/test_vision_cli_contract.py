"""Do names, options, exit codes and the cheapness of importing stay as promised?"""

import json
import subprocess
import sys

import pytest

import provq_vision
from provq_vision import cli

HEAVY = ("torch", "numpy", "PIL", "scipy", "safetensors", "rich")
# Libraries of biology, and optional ones that no part of the image tokenizer needs to start.
FOREIGN = ("biotite", "Bio", "esm", "mdtraj", "h5py", "sklearn", "torch_geometric", "torchvision")


def loaded_by(program: str, libraries: tuple[str, ...]) -> list[str]:
    """Return which libraries a fresh interpreter has imported after a program."""
    report = f"import json, sys; print(json.dumps(sorted({set(libraries)!r} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_public_names_are_these():
    assert provq_vision.__all__ == [
        "CheckpointError",
        "ConfigError",
        "ImageError",
        "ImageTokenizer",
        "ImageTokens",
        "MissingExtraError",
        "ProvqError",
        "TokenFormatError",
        "open_images",
    ]


def test_every_public_name_is_found_and_listed():
    for name in provq_vision.__all__:
        assert getattr(provq_vision, name).__name__ == name
        assert name in dir(provq_vision)
    assert isinstance(provq_vision.__version__, str)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = provq_vision.nonsense


def test_importing_the_package_imports_nothing_heavy():
    assert loaded_by("import provq_vision", HEAVY) == []


def test_help_and_version_import_nothing_heavy():
    names = list(cli.build_parser()._subparsers._group_actions[0].choices)
    lines = [["--help"], ["--version"], *([name, "--help"] for name in names)]
    program = (
        "from provq_vision.cli import main\n"
        f"for line in {lines!r}:\n"
        "    try: main(line)\n"
        "    except SystemExit as ended: assert ended.code == 0\n"
        "    else: raise AssertionError\n"
    )
    assert loaded_by(program, HEAVY) == []


def test_reading_a_token_file_needs_no_torch():
    assert "torch" not in loaded_by("from provq_vision import ImageTokens", HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "provq_vision",
        "provq_vision.tokenizer",
        "provq_vision.training.trainer",
        "provq_vision.extraction",
        "provq_vision.gpt_training.trainer",
        "provq_vision.drawing",
        "provq_vision.metrics.generation.scores",
    ],
)
def test_no_library_of_biology_and_no_optional_one_is_loaded(module):
    assert loaded_by(f"import {module}", FOREIGN) == []


def test_the_options_are_these():
    subparsers = cli.build_parser()._subparsers._group_actions[0].choices
    options = {
        name: [
            "/".join(action.option_strings) or action.dest
            for action in subparsers[name]._actions
            if action.dest != "help"
        ]
        for name in subparsers
    }
    assert options == {
        "encode": [
            "images",
            "--split",
            "--size",
            "-o/--output",
            "--model",
            "--device",
            "--overwrite",
        ],
        "decode": ["tokens", "-o/--output", "--model", "--device", "--overwrite"],
        "reconstruct": [
            "images",
            "--split",
            "--size",
            "-o/--output",
            "--limit",
            "--model",
            "--device",
            "--overwrite",
        ],
        "train": [
            "--recipe",
            "--preset",
            "--data",
            "--validation",
            "--classes",
            "--init",
            "--vgg",
            "--output",
            "--set",
            "--amend",
            "--device",
            "--minutes",
            "--threads",
            "--compile",
            "--no-prefetch",
        ],
        "eval": [
            "--model",
            "--data",
            "--split",
            "--size",
            "--eval-size",
            "--features",
            "--reference",
            "--limit",
            "--batch-size",
            "--device",
            "-o/--output",
            "--overwrite",
        ],
        "extract-codes": [
            "images",
            "--split",
            "--size",
            "-o/--output",
            "--crops",
            "--margins",
            "--shard-size",
            "--shard",
            "--model",
            "--device",
        ],
        "train-ar": [
            "--recipe",
            "--codes",
            "--validation",
            "--output",
            "--set",
            "--amend",
            "--device",
            "--minutes",
            "--threads",
            "--compile",
            "--no-prefetch",
        ],
        "sample": [
            "--gpt",
            "--model",
            "--device",
            "-o/--output",
            "--count",
            "--per-class",
            "--classes",
            "--seed",
            "--shard",
            "--guidance",
            "--temperature",
            "--top-k",
            "--top-p",
            "--width",
            "--picture",
            "--overwrite",
        ],
        "eval-gen": [
            "samples",
            "--reference",
            "--reference-split",
            "--size",
            "--features",
            "--limit",
            "--save-reference",
            "--device",
            "-o/--output",
            "--overwrite",
        ],
    }


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["nonsense"],
        ["encode"],
        ["encode", "x.png", "-o", "x.npz"],
        ["encode", "x.png", "-o", "x.npz", "--model", "m", "--size", "big"],
        ["encode", "x.png", "-o", "x.npz", "--model", "m", "--split", "all"],
        ["encode", "x.png", "--out", "x.npz", "--model", "m"],
        ["decode", "x.npz", "--model", "m"],
        ["reconstruct", "x.png", "-o", "x.png", "--model", "m", "--limit", "0"],
    ],
)
def test_a_wrong_command_line_ends_with_2(run, line):
    answer = run(*line)
    assert answer.code == 2
    assert answer.out == ""
    assert "usage: provq-vision" in answer.err


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "provq_vision", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"provq {provq_vision.__version__}\n"


def test_an_interrupt_ends_quietly(run, monkeypatch, tmp_path):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("provq_vision.cli.encode.load_tokenizer", interrupted)
    answer = run("encode", "x.png", "-o", tmp_path / "x.npz", "--model", "m")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == "provq-vision encode: interrupted\n"


@pytest.mark.parametrize("command", ["encode", "decode", "reconstruct"])
def test_a_model_that_is_none_ends_with_2(run, command, photos, tmp_path, model_folder):
    run("encode", photos, "-o", tmp_path / "t.npz", "--model", model_folder)
    given = tmp_path / "t.npz" if command == "decode" else photos / "a.png"
    answer = run(command, given, "-o", tmp_path / "out", "--model", tmp_path / "nowhere")
    assert answer.code == 2
    assert "nowhere: no such model folder" in answer.err
    assert not (tmp_path / "out").exists()
