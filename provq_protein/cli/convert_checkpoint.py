"""How does ``provq-protein convert-checkpoint`` make a model folder of others' weights?"""

import argparse
from pathlib import Path

from provq_protein.cli.export import positive
from provq_protein.cli.reporting import Report

_LAYOUTS = ("esm3", "structtokenbench")
_DESCRIPTION = """\
Make a model folder of weights that another project trained:

  esm3              esm3_structure_encoder_v0.pth and esm3_structure_decoder_v0.pth, both
  structtokenbench  a checkpoint of StructTokenBench or of the author of ProVQ: the folder that
                    DeepSpeed wrote, its mp_rank_00_model_states.pt, or a plain state dict

Files are read without running what they pickled: one that holds more than tensors and plain
values is refused. The folder records the names and SHA-256 of the files and what was left out.
Nothing is downloaded, and the licence of the weights stays what it is."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``convert-checkpoint``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "convert-checkpoint",
        help="weights of ESM3 or StructTokenBench to a model folder",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="file of weights, or folder that holds it")
    add("-o", "--output", metavar="FOLDER", required=True, help="model folder to write")
    add("--format", choices=_LAYOUTS, help="layout of the files (default: names of tensors tell)")
    add(
        "--decoder-heads",
        type=positive,
        metavar="N",
        help="attention heads of the decoder (default: one per 64 features, as published)",
    )
    add("--overwrite", action="store_true", help="replace an earlier model folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``convert-checkpoint``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if the weights could not be converted; nothing is written then.

    Raises
    ------
    ProvqError
        If the folder should not be written.
    """
    from provq_protein.errors import CheckpointError
    from provq_protein.peers.layouts import check_model_folder

    folder = Path(args.output)
    check_model_folder(folder, overwrite=args.overwrite)
    # Not at the top: it imports torch, for which `--help` should not wait.
    from provq_protein.peers.conversion import convert

    report = Report()
    try:
        done = convert(
            [Path(path) for path in args.paths],
            layout=args.format,
            decoder_heads=args.decoder_heads,
        )
    except CheckpointError as error:
        report.problem(error)
        return report.exit_code
    done.model.save(folder, training=done.provenance())
    if done.left_out:
        report.summary(f"left out, for which the model has no place: {', '.join(done.left_out)}")
    size, dim = done.model.codebook().shape
    report.summary(
        f"{done.layout}: {size} codes of {dim} dimensions, fingerprint {done.model.fingerprint()}, "
        f"written to {folder}"
    )
    return report.exit_code
