"""Which options say what is taken of a structure file, the same for every command?"""

import argparse
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from provq_protein.structure.policies import ResiduePolicy


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options for what is taken of each file.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command that reads structures.
    """
    group = parser.add_argument_group(
        "what is taken of each structure", "the default is the residue contract"
    )
    group.add_argument(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="chain ids to take (default: all protein chains)",
    )
    group.add_argument(
        "--models",
        type=_models,
        default=1,
        metavar="N|all",
        help="model of the file, from 1, or all of them (default: 1)",
    )
    group.add_argument(
        "--assembly", metavar="ID", help="biological assembly; copies are called A, A-2, ..."
    )
    group.add_argument(
        "--numbering",
        choices=("auth", "label"),
        default="auth",
        help="whose chain ids and residue numbers count: the author's, or those of mmCIF",
    )
    group.add_argument(
        "--altloc",
        default="occupancy",
        metavar="WHICH",
        help="alternate location: occupancy (the highest, default), first, or a letter",
    )
    group.add_argument(
        "--unresolved",
        choices=("keep", "drop"),
        default="keep",
        help="residues without all of N, CA and C: keep them without a token, or leave them out",
    )
    group.add_argument(
        "--min-plddt", type=float, metavar="X", help="no token for residues of lower pLDDT (0-100)"
    )
    group.add_argument(
        "--plddt-mode",
        choices=("mask", "drop"),
        default="mask",
        help="keep such residues without a token, or leave them out (default: mask)",
    )
    group.add_argument(
        "--b-factors",
        choices=("declared", "plddt"),
        default="declared",
        help="plddt: they are pLDDT, also where the file does not say so",
    )
    group.add_argument(
        "--sequence",
        choices=("resolved", "full"),
        default="resolved",
        help="residues with atoms, or every position of the declared sequence (SEQRES)",
    )


def policy_from(args: argparse.Namespace) -> "ResiduePolicy":
    """
    Return what the options say.

    Parameters
    ----------
    args : Namespace
        The parsed options of `add_policy_options`.

    Returns
    -------
    ResiduePolicy
        The contract's if no option was given.

    Raises
    ------
    ConfigError
        If options contradict each other, or a value means nothing.
    """
    # Not at the top: it imports numpy, for which `--help` should not wait.
    from provq_protein.structure.policies import ResiduePolicy

    return ResiduePolicy(
        chains=args.chains,
        model=args.models,
        assembly=args.assembly,
        numbering=args.numbering,
        altloc=args.altloc,
        unresolved=args.unresolved,
        min_plddt=args.min_plddt,
        plddt_mode=args.plddt_mode,
        sequence=args.sequence,
        b_factors=args.b_factors,
    )


def chain_list(text: str) -> list[str]:
    """
    Parse the value of ``--chains``.

    Parameters
    ----------
    text : str
        Chain ids, separated by commas.

    Returns
    -------
    list of str
        Each once, in the given order.

    Raises
    ------
    argparse.ArgumentTypeError
        If a chain id is empty.

    Examples
    --------
    >>> chain_list("A,BB,A")
    ['A', 'BB']
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        msg = f"expected chain ids separated by commas, for instance A,B; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(names))


def _models(text: str) -> int | Literal["all"]:
    if text == "all":
        return "all"
    if not text.isdecimal() or int(text) < 1:
        msg = f"expected all, or the number of a model from 1; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
