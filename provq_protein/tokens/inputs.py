"""Which chains of the given structures can be tokenized, and what is wrong with the others?"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones

StructureInput: TypeAlias = str | Path | Backbone

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


def per_chain(
    compute: Callable[[Backbone], _Result],
    inputs: Iterable[StructureInput],
    *,
    chains: Sequence[str] | None,
    on_problem: OnProblem | None,
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
        Author chain ids to use; None for all.
    on_problem : callable or None
        Called with an `InputProblem` for each file or chain that fails, for whatever reason,
        while the others go on. If None, the first problem is raised.

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
    """
    for name, argument in (("inputs", inputs), ("chains", chains)):
        if isinstance(argument, str | Path | Backbone):
            msg = f"{name} must be a list, got one {type(argument).__name__}; write [{name[:-1]}]"
            raise TypeError(msg)
    return _usable(compute, inputs, chains, on_problem or _raise)


def _usable(
    compute: Callable[[Backbone], _Result],
    inputs: Iterable[StructureInput],
    wanted: Sequence[str] | None,
    report: OnProblem,
) -> Iterator[_Result]:
    for position, item in enumerate(inputs, start=1):
        array = isinstance(item, Backbone)
        file = (item.source or f"input {position}") if array else os.fspath(item)
        try:
            found = [item] if array else read_backbones(item)
        except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
            _report_error(report, file, None, error)
            continue
        for chain_id in _absent(wanted, found):
            present = ", ".join(chain.chain_id for chain in found)
            report(InputProblem(file, chain_id, f"no such protein chain; there is {present}"))
        for chain in found:
            if wanted is not None and chain.chain_id not in wanted:
                continue
            reason = _unusable(chain)
            if reason:
                report(InputProblem(file, chain.chain_id, reason))
                continue
            try:
                result = compute(chain)
            except Exception as error:  # noqa: BLE001 - as above
                _report_error(report, file, chain.chain_id, error)
                continue
            yield result


def _absent(wanted: Sequence[str] | None, found: Sequence[Backbone]) -> list[str]:
    present = {chain.chain_id for chain in found}
    return [] if wanted is None else [name for name in wanted if name not in present]


def _unusable(chain: Backbone) -> str | None:
    if chain.resolved.any():
        return None
    nitrogen, alpha, carbon = np.all(np.isfinite(chain.coords), axis=-1).T
    if alpha.any() and not (nitrogen.any() or carbon.any()):
        return f"only CA atoms ({len(chain)} residues); N, CA and C are needed"
    return f"no residue ({len(chain)} in the chain) has all of N, CA and C"


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
