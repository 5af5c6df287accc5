"""Train on small pictures, kill and resume, encode, decode, evaluate, and draw the result.

    python benchmarks/vision_smoke/run.py --output smoke

Two trainings of one recipe are run by the command line: one undisturbed, one that is killed by
SIGKILL in the middle and started again. Their models must be equal byte by byte. The tokens of the
validation pictures must decode to what the evaluation of the model sees. The exit code is 1 if not.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from vision_smoke.commands import call, differences, kill_after, say  # noqa: E402
from vision_smoke.pictures import write_folder  # noqa: E402

SETTINGS = (
    "steps=240",
    "curriculum.warmup_steps=80",
    "curriculum.transition_steps=60",
    "loss.discriminator_start=180",
    "loss.discriminator_lead=20",
    "monitor.checkpoint_every=30",
    "monitor.validate_every=80",
)
# Between two checkpoints, in the transition.
KILLED_AFTER = 100


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
    parser.add_argument("--output", type=Path, default=Path("vision_smoke_run"), help="folder")
    output: Path = parser.parse_args(argv).output
    if output.exists():
        parser.error(f"{output}: exists; name another folder or remove it")
    output.mkdir(parents=True)
    write_folder(output / "pictures")
    say("training, undisturbed")
    call("train", *training(output, "whole"))
    say(f"training, killed after step {KILLED_AFTER} and resumed")
    kill_after(output / "killed", KILLED_AFTER, "train", *training(output, "killed"))
    call("train", *training(output, "killed"))
    problems = differences(output / "whole", output / "killed")
    problems += round_trip(output)
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        say(f"all is well; see {output / 'reconstructions.png'} and {output / 'whole' / 'samples'}")
    return 1 if problems else 0


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
    words = ["--recipe", "smoke", "--data", str(output / "pictures")]
    words += ["--output", str(output / name), "--device", "cpu", "--threads", "1"]
    for setting in SETTINGS:
        words += ["--set", setting]
    return words


def round_trip(output: Path) -> list[str]:
    """
    Encode, decode, evaluate and draw the validation pictures.

    Parameters
    ----------
    output : Path
        Folder of the smoke run.

    Returns
    -------
    list of str
        What is wrong.
    """
    model, pictures = output / "whole" / "model", output / "pictures"
    tokens, decoded = output / "tokens.npz", output / "decoded"
    chosen = ["--model", str(model), "--split", "val"]
    say("encode, decode, eval, reconstruct")
    print(call("encode", str(pictures), *chosen, "-o", str(tokens)), end="")
    print(call("decode", str(tokens), "--model", str(model), "-o", str(decoded)), end="")
    result = output / "evaluation.json"
    print(call("eval", "--data", str(pictures), *chosen, "-o", str(result)), end="")
    print(
        call("reconstruct", str(pictures), *chosen, "-o", str(output / "reconstructions.png")),
        end="",
    )
    files = sorted(decoded.rglob("*.png"))
    found = []
    if len(files) != 16:
        found.append(f"16 pictures were encoded, {len(files)} were decoded")
    sizes = {Image.open(path).size for path in files}
    if sizes != {(32, 32)}:
        found.append(f"decoded pictures have sizes {sizes}")
    with np.load(tokens, allow_pickle=False) as arrays:
        used = len(np.unique(arrays["ids"]))
    say(f"{used} of 32 codes are used")
    if used < 2:
        found.append("one code stands for everything")
    return found


if __name__ == "__main__":
    sys.exit(main())
