"""What does ``provq-protein info`` say about a model, a token file or a structure file?"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report
from provq_protein.errors import ConfigError, ProvqError

_DESCRIPTION = """\
Describe a model folder, a token file or a structure file; without PATH, the shipped model or that
of --model, which may be in a repository of the Hugging Face Hub."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``info``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "info",
        help="describe a model, a token file or a structure file",
        description=_DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="model folder, token file or structure file"
    )
    add_model_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``info``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if the file cannot be read.

    Raises
    ------
    ProvqError
        If the shipped model or that of ``--model`` cannot be loaded, or PATH is given as well.
    """
    report = Report()
    if args.path is not None and args.model is not None:
        msg = f"{args.path}: describe this or --model {args.model}, one at a time"
        raise ConfigError(msg)
    try:
        facts = describe(args.path) if args.model is None else _describe_model(args.model)
    except (ProvqError, OSError) as error:
        if args.path is None:
            raise
        report.problem(error)
        return report.exit_code
    print(json.dumps(facts, indent=2) if args.json else _as_text(facts))
    return report.exit_code


def describe(path: str | None) -> dict[str, Any]:
    """
    Return what is known about a model folder, a token file or a structure file.

    Parameters
    ----------
    path : str or None
        Where it lies; None for the shipped model.

    Returns
    -------
    dict
        JSON-ready facts; ``"kind"`` is ``"model"``, ``"tokens"`` or ``"structure"``.

    Raises
    ------
    ProvqError
        If it is none of them, or damaged.
    """
    from provq_protein.tokens.formats import detect_format

    if path is None or Path(path).is_dir():
        return _describe_model(path)
    if Path(path).is_file() and detect_format(path) is not None:
        return _describe_tokens(path)
    return _describe_structure(path)


def _describe_model(path: str | None) -> dict[str, Any]:
    from provq_protein.runs.config import to_mapping
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(path)
    parameters = tokenizer.model.parameters()
    return {
        "kind": "model",
        "name": tokenizer.name,
        "fingerprint": tokenizer.fingerprint,
        "codebook_size": tokenizer.codebook_size,
        "latent_dim": int(tokenizer.codebook.shape[1]),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "config": to_mapping(tokenizer.model.config),
    }


def _describe_tokens(path: str) -> dict[str, Any]:
    from provq_protein.tokens.formats import detect_format, load_tokens
    from provq_protein.tokens.table import version_of

    tokens = load_tokens(path)
    used = {code for chain in tokens for code in chain.ids[chain.resolved].tolist()}
    return {
        "kind": "tokens",
        "file": path,
        "format": detect_format(path),
        "format_version": version_of(tokens),
        "fingerprints": sorted({chain.fingerprint for chain in tokens}),
        "codebook_size": max((chain.codebook_size for chain in tokens), default=None),
        "contexts": sorted({chain.context for chain in tokens}),
        "codes_used": len(used),
        "residues": sum(len(chain) for chain in tokens),
        "resolved": sum(int(chain.resolved.sum()) for chain in tokens),
        "chains": [
            {
                "file": chain.source,
                "chain_id": chain.chain_id,
                "residues": len(chain),
                "resolved": int(chain.resolved.sum()),
                "first": chain.residue_ids[0] if len(chain) else None,
                "last": chain.residue_ids[-1] if len(chain) else None,
            }
            for chain in tokens
        ],
    }


def _describe_structure(path: str) -> dict[str, Any]:
    from provq_protein.structure.reading import read_backbones

    chains = read_backbones(path)
    return {
        "kind": "structure",
        "file": path,
        "bytes": os.stat(path).st_size,  # noqa: PTH116 - the path as the user gave it
        "model": 1,
        "residues": sum(len(chain) for chain in chains),
        "resolved": sum(int(chain.resolved.sum()) for chain in chains),
        "chains": [
            {
                "chain_id": chain.chain_id,
                "label_chain_id": chain.label_chain_id,
                "residues": len(chain),
                "resolved": int(chain.resolved.sum()),
                "first": chain.residue_ids[0] if len(chain) else None,
                "last": chain.residue_ids[-1] if len(chain) else None,
                "confidence": chain.confidence,
                "sequence": chain.sequence,
            }
            for chain in chains
        ],
    }


def _as_text(facts: dict[str, Any]) -> str:
    """One line per fact; nested tables as dotted names, the chains as a table at the end."""
    flat = dict(_flatten(facts))
    width = max(len(name) for name in flat)
    lines = [f"{name:<{width}}  {_cell(value)}" for name, value in flat.items()]
    chains = facts.get("chains")
    if chains:
        lines += ["", *_table(chains)]
    return "\n".join(lines)


def _flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{name}.")
        else:
            flat.append((f"{prefix}{name}", len(value) if name == "chains" else value))
    return flat


def _table(rows: list[dict[str, Any]]) -> list[str]:
    # A sequence is for programs (--json); it would push the table off every screen.
    columns = [name for name in rows[0] if name != "sequence"]
    cells = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    return str(value)
