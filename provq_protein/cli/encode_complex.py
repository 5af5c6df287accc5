"""How does ``provq-protein encode --complex`` put the chains of its inputs together?"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from provq_protein.cli.reporting import Report
from provq_protein.errors import ConfigError, StructureError

if TYPE_CHECKING:
    from provq_protein.sources import Member
    from provq_protein.structure.backbone import Backbone
    from provq_protein.structure.policies import ResiduePolicy
    from provq_protein.tokens.inputs import ChainsOfFile


def add_option(parser: argparse.ArgumentParser) -> None:
    """
    Declare ``--complex``.

    Parameters
    ----------
    parser : ArgumentParser
        Of ``encode``.
    """
    parser.add_argument(
        "--complex",
        action="store_true",
        dest="together",
        help="let the chains of a file, model or assembly see each other; the shipped model was "
        "trained on single chains (see docs/complexes.md)",
    )


def check(args: argparse.Namespace, *, to_folder: bool) -> None:
    """
    Refuse what cannot encode complexes.

    Parameters
    ----------
    args : Namespace
        The parsed options of ``encode``.
    to_folder : bool
        Whether a folder of shards is to be written.

    Raises
    ------
    ConfigError
        If that, another runtime or another precision is asked for.
    """
    if not args.together:
        return
    msg = None
    if to_folder:
        msg = (
            "--complex: folders of shards are written chain by chain; print lines, or write one "
            "token file for each run with -o FILE, without the options for folders"
        )
    elif args.runtime != "torch":
        msg = f"--complex: is not for --runtime {args.runtime}; leave that option out"
    elif args.precision != "exact":
        msg = f"--complex: computes exactly; leave --precision {args.precision} out"
    if msg is not None:
        raise ConfigError(msg)


def complexes_within(
    file: str, topology: str | None, policy: "ResiduePolicy", report: Report
) -> Iterator["ChainsOfFile"]:
    """
    Yield the chains of each member of an archive, a pattern, a list or a trajectory.

    Parameters
    ----------
    file : str
        As it was typed.
    topology : str or None
        Topology file, if it is a trajectory.
    policy : ResiduePolicy
        What is taken of each member. All its chains are read, since they see each other.
    report : Report
        Told what cannot be read.

    Yields
    ------
    ChainsOfFile
        In order; of a trajectory, one for each frame.
    """
    from provq_protein.sources import FOLDCOMP_WARNING, members
    from provq_protein.tokens.inputs import ChainsOfFile, InputProblem

    everything = replace(policy, chains=None)
    for name, parts in groupby(enumerate(members([file], topology=topology)), _same_frame):
        found: list[Backbone] = []
        for _, member in parts:
            if member.source == "foldcomp":
                report.warn_once(FOLDCOMP_WARNING)
            try:
                found += _chains_of(member, everything)
            except StructureError as error:
                reason = str(error).removeprefix(f"{member.name}: ")
                report.problem(InputProblem(member.name, None, reason))
        if found:
            yield ChainsOfFile(name[0], found)


def _same_frame(numbered: "tuple[int, Member]") -> tuple[str, int]:
    """Chains of one frame of a trajectory are members of one name; files of one name are not."""
    number, member = numbered
    return member.name, -1 if member.source == "trajectory" else number


def _chains_of(member: "Member", policy: "ResiduePolicy") -> "list[Backbone]":
    from provq_protein.batch.encoding import read_member

    if member.problem is not None:
        raise StructureError(member.problem)
    return read_member(member, policy)
