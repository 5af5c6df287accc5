"""How does ``provq-protein inspect`` show what would be taken of structure files, and why?"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from provq_protein.cli.reporting import count
from provq_protein.cli.residue_options import add_policy_options, policy_from

if TYPE_CHECKING:
    from rich.console import Console

    from provq_protein.sources import Member
    from provq_protein.structure.account import ChainAccount, FileAccount
    from provq_protein.structure.policies import ResiduePolicy

_DESCRIPTION = """\
Say what would be encoded of structure files, archives, folders, patterns, or of a list on stdin
(-): one row for every protein chain, with the residues that have no token or are left out, and
why; and one line for every file, with what else is in it. Nothing is encoded, and no model is
loaded. The exit code is 1 if a file or chain could not be encoded."""

# As wide as rows of a table get where there is no terminal.
_WIDTH = 160
_MOST_NAMES = 6


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``inspect``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "inspect",
        help="what would be encoded of structure files, and why",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="structure file or archive")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each file")
    parser.add_argument(
        "--topology", metavar="PATH", help="topology file of the trajectories among the inputs"
    )
    add_policy_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``inspect``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a file or chain could not be encoded, or there is none.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    """
    from provq_protein.sources import members

    policy = policy_from(args)
    show = _print_json if args.json else _Table().show
    files = chains = residues = tokens = problems = 0
    for member in members(args.files, topology=args.topology):
        account = _account(member, policy)
        show(account)
        wanted = [chain for chain in account.chains if chain.wanted and chain.problem is None]
        files += 1
        chains += len(wanted)
        residues += sum(chain.residues for chain in wanted)
        tokens += sum(chain.tokens for chain in wanted)
        problems += len(_problems(account))
    done = (
        f"{count(chains, 'chain')} of {count(files, 'file')} would be encoded: "
        f"{count(residues, 'residue')}, {count(tokens, 'token')}"
    )
    print(f"{done}; {count(problems, 'problem')}" if problems else done, file=sys.stderr)
    return 1 if problems or not files else 0


def _account(member: "Member", policy: "ResiduePolicy") -> "FileAccount":
    from provq_protein.errors import StructureError
    from provq_protein.structure.account import FileAccount, account_of, account_of_chain
    from provq_protein.structure.reading import read_content

    if member.problem is not None:
        return FileAccount(file=member.name, problem=member.problem)
    if member.chain is not None:
        return account_of_chain(member.chain, source=member.name, policy=policy)
    content = member.content
    try:
        if content is None and member.path is not None:
            content = read_content(member.path)
    except StructureError as error:
        return FileAccount(file=member.name, problem=str(error).removeprefix(f"{member.path}: "))
    return account_of(content or b"", source=member.name, policy=policy)


def _problems(account: "FileAccount") -> list[str]:
    """Return what keeps a file or a chain that is wanted from being encoded."""
    found = [] if account.problem is None else [account.problem]
    return found + [
        f"chain {chain.chain_id}: {chain.problem}"
        for chain in account.chains
        if chain.wanted and chain.problem is not None
    ]


def _print_json(account: "FileAccount") -> None:
    print(json.dumps(dataclasses.asdict(account), separators=(",", ":")), flush=True)


class _Table:
    """Prints accounts for people."""

    def __init__(self) -> None:
        self._console: Console | None = None

    def show(self, account: "FileAccount") -> None:
        """Print one file."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        if self._console is None:
            self._console = Console(
                width=None if sys.stdout.isatty() else _WIDTH, highlight=False, emoji=False
            )
        line = Text(f"{account.file}: {'; '.join(_file_parts(account))}")
        self._console.print(line, soft_wrap=True)
        if not account.chains:
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("  chain", no_wrap=True)
        for name in ("residues", "tokens"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("what and why", overflow="fold")
        several = len({chain.model for chain in account.chains}) > 1
        for chain in account.chains:
            name = f"  {chain.chain_id}" + (f" (model {chain.model})" if several else "")
            notes = "; ".join(_chain_parts(chain)) or "-"
            table.add_row(Text(name), str(chain.residues), str(chain.tokens), Text(notes))
        self._console.print(table)


def _file_parts(account: "FileAccount") -> Iterator[str]:
    if account.problem is not None:
        yield account.problem
    if account.format is None and not account.chains:
        return
    if account.format is not None:
        yield f"{account.format}, {count(account.models, 'model')}"
    yield count(len(account.chains), "protein chain")
    for kind, names in account.other_chains.items():
        yield f"{count(len(names), 'chain')} of {_plural(kind)} ({_some(names)})"
    if account.not_taken:
        yield f"not part of a protein: {_numbers(account.not_taken)}"
    if account.components:
        names = [f"{number} {name}" for name, number in account.components.items()]
        yield f"among them {_some(names)}"


def _plural(kind: str) -> str:
    return kind if kind in ("water", "other") else f"{kind}s"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _numbers(held: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in held.items())


def _chain_parts(chain: "ChainAccount") -> Iterator[str]:
    if not chain.wanted:
        yield "not asked for"
    if chain.problem is not None:
        yield f"cannot be encoded: {chain.problem}"
    for held, what in (
        (chain.masked, "without a token"),
        (chain.dropped, "left out"),
        (chain.modified, "modified"),
    ):
        if held:
            yield f"{what}: {_numbers(held)}"
    for number, what in (
        (chain.hetatm, "from HETATM records"),
        (chain.altlocs, "with alternate locations, one taken"),
        (chain.insertion_codes, "with insertion codes"),
        (chain.negative, "with negative numbers"),
        (chain.duplicate, "with a number that occurred before"),
        (chain.out_of_order, "with a number lower than the one before"),
    ):
        if number:
            yield f"{number} {what}"
    yield from _named_parts(chain)


def _named_parts(chain: "ChainAccount") -> Iterator[str]:
    if chain.microheterogeneity:
        yield f"several kinds of residue at {_some(chain.microheterogeneity)}"
    if chain.gaps:
        yield f"{count(len(chain.gaps), 'gap')} ({_some(chain.gaps)})"
    if chain.confidence == "plddt":
        yield f"mean pLDDT {chain.mean_b_factor}"
    if chain.not_taken:
        yield f"not taken under this id: {_numbers(chain.not_taken)}"
