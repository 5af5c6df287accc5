"""Train one row of the comparison and measure it.

    python benchmarks/image_tokenizers/row.py --preset vanilla+provq --seed 0 \\
        --data tiny_imagenet_100.tar --output runs/vanilla_provq-0

The run folder is resumed if it exists. Rewrite the page afterwards with table.py.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from image_tokenizers import measure  # noqa: E402

_PASSED_ON = ("split", "images", "features", "batch_size", "cache", "results")


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True, help="codebook and parts of the curriculum")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--data", required=True, metavar="PATH", help="folder or .tar of images")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="run folder")
    parser.add_argument(
        "--recipe", default="tiny_imagenet_64", help="shared by all rows (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a recipe value; curriculum.shape=hard is the other row of Table 6",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    measure.add_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Train and measure.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if an image could not be read, 2 if something else cannot be; else what the training
        ended with, if it left no model.
    """
    args = build_parser().parse_args(argv)
    code = train(args)
    # 1 also says that images could not be read and others were taken; then there is a model.
    if not (args.output / measure.MODEL).is_dir() or code not in (0, 1):
        return code or 2
    words = [str(args.output), "--data", args.data, "--threads", str(args.threads)]
    for name in _PASSED_ON:
        words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    return measure.main(words) or code


def train(args: argparse.Namespace) -> int:
    """
    Carry out ``provq-vision train``.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    int
        Its exit code.
    """
    words = ["--recipe", args.recipe, "--preset", args.preset, "--data", args.data]
    words += ["--output", str(args.output), "--threads", str(args.threads)]
    for assignment in (f"seed={args.seed}", *args.assignments):
        words += ["--set", assignment]
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "provq_vision", "train", *words]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
