"""How does ``provq-protein doctor`` show whether an installation works?"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import count

if TYPE_CHECKING:
    from provq_protein.evaluation.installation import Check

_DESCRIPTION = """\
Check an installation: versions and extras, processors and their arithmetic, the model folder, and
the ids and the reconstruction of one chain whose values are known. One line per check; those that
failed say what to do, and the exit code is then 1."""

_NAMES_WIDTH = 20
_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED"}
_MARKS_WIDTH = max(map(len, _MARKS.values()))


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``doctor``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "doctor",
        help="check that this installation works",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_model_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``doctor``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a check failed.
    """
    checks: list[Check] = []
    for check in _checks(args.model):
        checks.append(check)
        if not args.json:
            print(_line(check), flush=True)
    failed = sum(check.status == "failed" for check in checks)
    if args.json:
        document = {"healthy": not failed, "checks": [asdict(check) for check in checks]}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(f"{count(len(checks), 'check')}, {failed or 'none'} failed")
    return 1 if failed else 0


def _checks(model: str | None) -> Iterator["Check"]:
    from provq_protein.evaluation.installation import Check, check_installation

    yield from check_installation()
    try:
        from provq_protein.evaluation.health import check_computation
    except (ImportError, OSError) as error:
        # Also a library of a package that the system cannot load.
        reason = " ".join(str(error).split())
        remedy = "install the packages that are marked above, or those that this names, again"
        yield Check("imports", "failed", reason, remedy)
        return
    yield from check_computation(model)


def _line(check: "Check") -> str:
    mark = _MARKS[check.status]
    line = f"{mark:<{_MARKS_WIDTH}}  {check.name:<{_NAMES_WIDTH}}  {check.found}"
    return f"{line}; to do: {check.remedy}" if check.remedy else line
