"""How does ``provq-vision decode`` turn tokens into pictures?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError, TokenFormatError
from provq_vision.cli.options import add_model_options, load_tokenizer, shown
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    from provq_vision.tokenizer import ImageTokenizer
    from provq_vision.tokens import ImageTokens

_DESCRIPTION = """\
Decode every image of a token file into one PNG file, named after the image, in a folder named
after its class if it has one. Tokens of another model are refused."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``decode``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "decode",
        help="tokens to PNG files",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("tokens", metavar="TOKENS", help="token file, as `encode` writes it")
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder to write to, made if absent"
    )
    add_model_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``decode``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if the token file or one of its images could not be decoded.

    Raises
    ------
    ProvqError
        If the output could not be written, or the model not be loaded; nothing is decoded.
    """
    from provq_vision.cli.naming import picture_names
    from provq_vision.tokens import ImageTokens

    report = Report()
    try:
        tokens = ImageTokens.load(args.tokens)
    except TokenFormatError as error:
        report.problem(error)
        return report.exit_code
    folder = Path(args.output)
    paths = [folder / name for name in picture_names(tokens)]
    _check_folder(folder, paths, overwrite=args.overwrite)
    tokenizer = load_tokenizer(args)
    try:
        tokenizer.check_tokens(tokens)
    except TokenFormatError as error:
        report.problem(f"{args.tokens}: {error}")
        return report.exit_code
    written = _decode_all(tokens, paths, tokenizer, report)
    report.summary(f"{count(written, 'image')} decoded to {folder}")
    return report.exit_code


def _check_folder(folder: Path, paths: Sequence[Path], *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is not a folder; name one for the pictures with -o"
        raise ConfigError(msg)
    existing = [] if overwrite else [path for path in paths if path.exists()]
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        msg = f"{existing[0]}: exists{more}; name another folder, or allow --overwrite"
        raise ConfigError(msg)


def _decode_all(
    tokens: "ImageTokens", paths: Sequence[Path], tokenizer: "ImageTokenizer", report: Report
) -> int:
    from provq_vision.cli.naming import class_name, plain_name
    from provq_vision.images.pictures import save_png
    from provq_vision.inputs import reason_of

    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with progress(len(paths), label="decoding") as done:
        for number, (name, path) in enumerate(zip(tokens.names, paths, strict=True)):
            try:
                pixels = tokenizer.decode_ids(tokens.ids[number])
            except (ValueError, RuntimeError) as error:
                report.problem(f"{shown(name)}: {reason_of(error, name)}")
                continue
            finally:
                done(1)
            save_png(path, pixels)
            written += 1
            folder = class_name(tokens, int(tokens.labels[number]))
            if path.name != plain_name(name, folder).name:
                print(f"{path}: {shown(name)}", file=sys.stderr)
    return written
