"""Train a tokenizer and a model on its tokens, draw pictures in two ways, and evaluate them.

    python benchmarks/vision_smoke/generation.py --output smoke

All by the command line, on small pictures. Codes are extracted in two parts; two trainings of one
recipe, of which one is killed by SIGKILL and started again, must be equal byte by byte; pictures
drawn in one part and in two must be equal as well. The exit code is 1 if not.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

import numpy as np  # noqa: E402

from vision_smoke.commands import call, differences, kill_after, say  # noqa: E402
from vision_smoke.pictures import CLASSES, write_folder  # noqa: E402

TOKENIZER = (
    "steps=160",
    "curriculum.warmup_steps=60",
    "curriculum.transition_steps=40",
    "loss.adversarial_weight=0.0",
    "monitor.checkpoint_every=80",
    "monitor.validate_every=80",
)
# Between two checkpoints.
KILLED_AFTER = 45
SAMPLES, WIDTH = 8, 4


def main(argv: Sequence[str] | None = None) -> int:
    """
    Carry out the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0, or 1 if anything is not as it should be.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("vision_gen_smoke_run"), help="folder")
    output: Path = parser.parse_args(argv).output
    if output.exists():
        parser.error(f"{output}: exists; name another folder or remove it")
    output.mkdir(parents=True)
    write_folder(output / "pictures")
    say("a tokenizer")
    settings = [word for each in TOKENIZER for word in ("--set", each)]
    data = ["--data", str(output / "pictures"), "--output", str(output / "tokenizer")]
    call("train", "--recipe", "smoke", *data, "--device", "cpu", "--threads", "1", *settings)
    extract(output)
    say("a model of its tokens, undisturbed")
    call("train-ar", *training(output, "whole"))
    say(f"the same, killed after step {KILLED_AFTER} and resumed")
    kill_after(output / "killed", KILLED_AFTER, "train-ar", *training(output, "killed"))
    call("train-ar", *training(output, "killed"))
    problems = differences(output / "whole", output / "killed")
    problems += sampled(output)
    problems += evaluated(output)
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        say(f"all is well; see {output / 'samples.png'}")
    return 1 if problems else 0


def extract(output: Path) -> None:
    """
    Extract codes of all pictures, those for training by two commands.

    Parameters
    ----------
    output : Path
        Folder of the smoke run.
    """
    say("extract-codes: training pictures ten times each in two parts, validation pictures once")
    source = ["extract-codes", str(output / "pictures"), "--model", str(output / "tokenizer/model")]
    for part in ("1/2", "2/2"):
        more = ["--split", "train", "--margins", "1.1", "--shard-size", "16", "--shard", part]
        print(call(*source, *more, "-o", str(output / "codes")), end="")
    more = ["--split", "val", "--crops", "center"]
    print(call(*source, *more, "-o", str(output / "codes_val")), end="")


def training(output: Path, name: str) -> list[str]:
    """
    Return the options of a training.

    Parameters
    ----------
    output : Path
        Folder of the smoke run.
    name : str
        Of the training's own folder in it.

    Returns
    -------
    list of str
        Words of the command line.
    """
    codes = ["--codes", str(output / "codes"), "--validation", str(output / "codes_val")]
    where = ["--output", str(output / name), "--device", "cpu", "--threads", "1"]
    return ["--recipe", "smoke", *codes, *where]


def sampled(output: Path) -> list[str]:
    """
    Draw pictures, in one part and in two.

    Parameters
    ----------
    output : Path
        Folder of the smoke run.

    Returns
    -------
    list of str
        What is wrong.
    """
    say("sample, in one part and in two")
    source = ["--gpt", str(output / "whole/model"), "--model", str(output / "tokenizer/model")]
    how = ["--per-class", str(SAMPLES), "--guidance", "1.5", "--width", str(WIDTH)]
    whole = output / "samples.npz"
    picture = ["--picture", str(output / "samples.png")]
    print(call("sample", *source, *how, *picture, "-o", str(whole)), end="")
    parts = [output / f"samples-{number}.npz" for number in (1, 2)]
    for number, path in enumerate(parts, start=1):
        print(call("sample", *source, *how, "--shard", f"{number}/2", "-o", str(path)), end="")
    one, two = _images(whole), np.concatenate([_images(path) for path in parts])
    if one.shape != (SAMPLES * len(CLASSES), 32, 32, 3):
        return [f"samples have the shape {one.shape}"]
    if not np.array_equal(one, two):
        return ["samples in two parts differ from those in one"]
    say(f"{len(one)} pictures are equal, byte by byte")
    return []


def evaluated(output: Path) -> list[str]:
    """
    Compare samples with the validation pictures.

    Parameters
    ----------
    output : Path
        Folder of the smoke run.

    Returns
    -------
    list of str
        What is wrong.
    """
    say("eval-gen")
    result = output / "scores.json"
    reference = ["--reference", str(output / "pictures"), "--reference-split", "val"]
    print(call("eval-gen", str(output / "samples.npz"), *reference, "-o", str(result)), end="")
    scores = json.loads(result.read_text(encoding="utf-8"))
    if not 0.0 < scores["fid"] < np.inf:
        return [f"gFID is {scores['fid']}"]
    return []


def _images(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["arr_0"]


if __name__ == "__main__":
    sys.exit(main())
