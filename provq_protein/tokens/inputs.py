"""Which chains of the given structures can be tokenized, and what is wrong with the others?"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias, TypeVar

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.structure.reading import every_backbone, read_content
from provq_protein.structure.taking import finish_chain, unusable

StructureInput: TypeAlias = str | Path | Backbone


@dataclass(frozen=True)
class ChainsOfFile:
    """
    The chains of a file that was read already.

    Parameters
    ----------
    file : str
        The file as the user named it.
    chains : sequence of Backbone
        All its polypeptide chains, as the policy takes them.
    """

    file: str
    chains: Sequence[Backbone]


ComplexInput: TypeAlias = str | Path | Sequence[Backbone] | ChainsOfFile

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class InputProblem:
    """
    Why a file, or one chain of it, could not be encoded.

    Parameters
    ----------
    file : str
        The file as the user named it.
    chain_id : str or None
        The chain; None if the whole file is concerned.
    reason : str
        One line.

    Examples
    --------
    >>> str(InputProblem("1abc.cif", "B", "no residue is resolved"))
    '1abc.cif: chain B: no residue is resolved'
    """

    file: str
    chain_id: str | None
    reason: str

    def __str__(self) -> str:
        """Return file, chain and reason as one line."""
        chain = "" if self.chain_id is None else f"chain {self.chain_id}: "
        return f"{self.file}: {chain}{self.reason}"


OnProblem: TypeAlias = Callable[[InputProblem], None]
# What is computed for one of several chains, once all of them are known.
Together: TypeAlias = Callable[[Sequence[Backbone]], Callable[[int], _Result]]


def per_chain(
    compute: Callable[[Backbone], _Result],
    inputs: Iterable[StructureInput],
    *,
    chains: Sequence[str] | None,
    on_problem: OnProblem | None,
    policy: ResiduePolicy = CONTRACT,
) -> Iterator[_Result]:
    """
    Yield the result of a computation for one usable chain after another.

    Parameters
    ----------
    compute : callable
        Called with each `Backbone` that has at least one resolved residue.
    inputs : iterable of str, Path or Backbone
        Structure files, or chains.
    chains : sequence of str or None
        Chain ids to use; None for those of the policy.
    on_problem : callable or None
        Called with an `InputProblem` for each file or chain that fails, for whatever reason,
        while the others go on. If None, the first problem is raised.
    policy : ResiduePolicy
        What to take of each file. Of it, `unresolved` and `min_plddt` hold for chains that are
        given as such, too; they are refused if it asks for what only a file has.

    Returns
    -------
    iterator of object
        What `compute` returned, in the order of the inputs and of the chains in each file.

    Raises
    ------
    StructureError
        If an input is not usable and `on_problem` is None.
    TypeError
        If one input or chain id is given where a list is due.
    ConfigError
        If `chains` contradicts the policy.
    """
    _check_lists(inputs, chains)
    return _usable(compute, inputs, policy.limited_to(chains), on_problem or _raise)


def _check_lists(inputs: object, chains: object) -> None:
    for name, argument in (("inputs", inputs), ("chains", chains)):
        if isinstance(argument, str | Path | Backbone):
            msg = f"{name} must be a list, got one {type(argument).__name__}; write [{name[:-1]}]"
            raise TypeError(msg)


def _usable(
    compute: Callable[[Backbone], _Result],
    inputs: Iterable[StructureInput],
    policy: ResiduePolicy,
    report: OnProblem,
) -> Iterator[_Result]:
    for position, item in enumerate(inputs, start=1):
        array = isinstance(item, Backbone)
        file = (item.source or f"input {position}") if array else os.fspath(item)
        try:
            found = [item] if isinstance(item, Backbone) else _chains_of(item, policy)
        except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
            _report_error(report, file, None, error)
            continue
        for problem in absent_chains(file, found, policy):
            report(problem)
        for chain in found:
            if not policy.selects(chain.chain_id):
                continue
            try:
                used = finish_chain(chain, policy) if array else chain
                reason = unusable(used, policy)
                results = [compute(used)] if reason is None else []
            except Exception as error:  # noqa: BLE001 - as above
                _report_error(report, file, chain.chain_id, error)
                continue
            if reason is not None:
                report(InputProblem(file, chain.chain_id, reason))
            yield from results


def _chains_of(path: str | Path, policy: ResiduePolicy) -> list[Backbone]:
    return every_backbone(read_content(path), source=os.fspath(path), policy=policy)


def per_complex(
    compute: Together[_Result],
    inputs: Iterable[ComplexInput],
    *,
    chains: Sequence[str] | None,
    on_problem: OnProblem | None,
    policy: ResiduePolicy = CONTRACT,
) -> Iterator[list[_Result]]:
    """
    Yield the results of a computation that needs all chains of a complex at once.

    Parameters
    ----------
    compute : callable
        Called with the usable chains of a complex; returns what gives the result of one of them,
        by its place.
    inputs : iterable of str, Path, sequence of Backbone or ChainsOfFile
        Structure files, or complexes. Each model of a file is a complex of its own.
    chains : sequence of str or None
        Chain ids of which results are wanted; None for those of the policy. The others are part
        of the complex all the same.
    on_problem : callable or None
        As for `per_chain`.
    policy : ResiduePolicy
        As for `per_chain`, and what it says of residues holds for every chain of a file.

    Returns
    -------
    iterator of list
        One list per complex with a chain that gave a result, in the order of inputs, models and
        chains.

    Raises
    ------
    StructureError
        If an input is not usable and `on_problem` is None.
    TypeError
        If one input or chain id is given where a list is due.
    ConfigError
        If `chains` contradicts the policy.
    """
    _check_lists(inputs, chains)
    return _usable_together(compute, inputs, policy.limited_to(chains), on_problem or _raise)


def _usable_together(
    compute: Together[_Result],
    inputs: Iterable[ComplexInput],
    policy: ResiduePolicy,
    report: OnProblem,
) -> Iterator[list[_Result]]:
    for position, item in enumerate(inputs, start=1):
        file = _name_of(item, position)
        try:
            found = _all_chains(item, policy)
        except Exception as error:  # noqa: BLE001 - as for one chain
            _report_error(report, file, None, error)
            continue
        for problem in absent_chains(file, found, policy):
            report(problem)
        for _, model in groupby(found, key=lambda chain: chain.model):
            results = _of_complex(compute, file, list(model), policy, report)
            if results:
                yield results


def _name_of(item: ComplexInput, position: int) -> str:
    if isinstance(item, ChainsOfFile):
        return item.file
    if isinstance(item, str | Path):
        return os.fspath(item)
    first = next(iter(item), None)
    return getattr(first, "source", "") or f"input {position}"


def _all_chains(item: ComplexInput, policy: ResiduePolicy) -> Sequence[Backbone]:
    if isinstance(item, ChainsOfFile):
        return item.chains
    if isinstance(item, str | Path):
        # What is left of a chain decides what its neighbors see, whether or not it is wanted.
        return _chains_of(item, replace(policy, chains=None))
    return [finish_chain(chain, policy) for chain in item]


def _of_complex(
    compute: Together[_Result],
    file: str,
    found: Sequence[Backbone],
    policy: ResiduePolicy,
    report: OnProblem,
) -> list[_Result]:
    usable = []
    for chain in found:
        reason = unusable(chain, policy)
        if reason is None:
            usable.append(chain)
        elif policy.selects(chain.chain_id):
            report(InputProblem(file, chain.chain_id, reason))
    if not any(policy.selects(chain.chain_id) for chain in usable):
        return []
    try:
        result_of = compute(usable)
    except Exception as error:  # noqa: BLE001 - as for one chain
        _report_error(report, file, None, error)
        return []
    results = []
    for place, chain in enumerate(usable):
        if not policy.selects(chain.chain_id):
            continue
        try:
            results.append(result_of(place))
        except Exception as error:  # noqa: BLE001 - as for one chain
            _report_error(report, file, chain.chain_id, error)
    return results


def absent_chains(
    file: str, found: Sequence[Backbone], policy: ResiduePolicy
) -> list[InputProblem]:
    """
    Return a problem for each chain that a policy names and a file does not have.

    Parameters
    ----------
    file : str
        The file as the user named it.
    found : sequence of Backbone
        All its chains.
    policy : ResiduePolicy
        Which chains are wanted.

    Returns
    -------
    list of InputProblem
        In the order of the policy's `chains`.
    """
    present = list(dict.fromkeys(chain.chain_id for chain in found))
    return [
        InputProblem(file, name, f"no such protein chain; there is {', '.join(present)}")
        for name in policy.absent(present)
    ]


def _raise(problem: InputProblem) -> None:
    raise StructureError(str(problem))


def _report_error(report: OnProblem, file: str, chain_id: str | None, error: Exception) -> None:
    if report is _raise:
        raise error
    # Messages begin with the file already, and an InputProblem names it again.
    reason = str(error).removeprefix(f"{file}: ")
    if not isinstance(error, StructureError):
        reason = f"unexpected {type(error).__name__}: {reason}"
    report(InputProblem(file, chain_id, " ".join(reason.split())))
