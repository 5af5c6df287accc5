"""Which tasks can be run on the data at hand, and with which splits?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from provq_protein.errors import ConfigError, ProvqError
from structtokenbench.items import TaskData
from structtokenbench.leakage import (
    drop_leaks,
    exclude,
    local_splits,
    local_task,
    merge_duplicates,
    read_exclusions,
)
from structtokenbench.sources import arrays, benchmark_files
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.sources.chains import StructureFolder
from structtokenbench.sources.scope import NAME as SCOPE
from structtokenbench.sources.scope import load_scope
from structtokenbench.tasks import TASKS, Task

Labels = Literal["exact", "union"]
SplitKind = Literal["published", "local", "scope"]

# A probe needs some items to be chosen by, and some to be scored on.
_FEWEST_ITEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """
    Which labels are used, and how strictly.

    Parameters
    ----------
    labels : {"exact", "union"}
        The benchmark's own labels of the chains at hand, or also those moved to them from nearly
        identical chains and by UniProt numbering (arrays only).
    keep_leaks : bool
        Train on chains that have a relative in another split, as the published protocol does.
    merge_duplicates : bool
        Make one item of those that label the same chain in one split, for binary labels.
    """

    labels: Labels = "union"
    keep_leaks: bool = False
    merge_duplicates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """
    A task that can be run, or the reason why it cannot.

    Parameters
    ----------
    name : str
        Of the task.
    task : Task
        With the names of the splits that are used.
    splits : {"published", "local", "scope"}
        Whether splits are those of the benchmark, were made from all labels because the training
        or the validation split is not at hand, or are holdouts of SCOPe domains.
    data : TaskData or None
        Labels and chains; None where they cannot be had.
    labels : {"exact", "union"}
        As in `DataOptions`.
    options : DataOptions
        What was asked for.
    dropped : dict of str to int
        Items per split that were left out because of a relative in another split.
    problem : str
        Why the task cannot be run; empty if it can.
    """

    name: str
    task: Task
    splits: SplitKind
    data: TaskData | None
    labels: Labels
    options: DataOptions = DataOptions()
    dropped: dict[str, int] = field(default_factory=dict)
    problem: str = ""


class DataFolder:
    """
    A folder that tasks can be read from.

    Parameters
    ----------
    path : Path
        A folder with ``backbones.npz`` and ``labels.npz``, or one with the benchmark's own label
        files.
    structures : Path, optional
        Structure files, or a folder with ``backbones.npz``, for the benchmark's own label files.

    Raises
    ------
    ConfigError
        If the folder has neither, or structures are missing.
    """

    def __init__(self, path: Path, structures: Path | None = None) -> None:
        self.path = path
        self.archive: ChainArchive | None = None
        self._has_arrays = (path / arrays.LABELS).is_file() and structures is None
        if self._has_arrays:
            self.archive = ChainArchive(path)
            return
        if not path.is_dir():
            msg = f"--data {path}: no such folder"
            raise ConfigError(msg)
        if structures is None:
            msg = (
                f"--data {path}: has no {arrays.LABELS}; for the benchmark's label files (JSON "
                "lines or CSV) name a folder of structures as well: --structures FOLDER"
            )
            raise ConfigError(msg)
        if (structures / "backbones.npz").is_file():
            self.archive = ChainArchive(structures)
        self._structures = self.archive or StructureFolder(structures)

    @property
    def task_names(self) -> tuple[str, ...]:
        """Every task that may be in such a folder."""
        return (*TASKS, SCOPE) if self._has_arrays else tuple(TASKS)

    def datasets(self, names: Sequence[str], options: DataOptions) -> Iterator[Dataset]:
        """
        Read tasks, one after the other.

        Parameters
        ----------
        names : sequence of str
            Of tasks.
        options : DataOptions
            Which labels.

        Yields
        ------
        Dataset
            One per name. A task that cannot be read has its reason.

        Raises
        ------
        ConfigError
            If a name is unknown.
        """
        unknown = [name for name in names if name not in self.task_names]
        if unknown:
            known = ", ".join(self.task_names)
            msg = f"--tasks {', '.join(unknown)}: no such task here; there are {known}"
            raise ConfigError(msg)
        for name in names:
            try:
                yield self._dataset(name, options)
            except ProvqError as error:
                task = TASKS["Homo" if name == SCOPE else name]
                yield Dataset(
                    name=name,
                    task=task,
                    splits="scope" if name == SCOPE else "published",
                    data=None,
                    labels=options.labels,
                    options=options,
                    problem=str(error),
                )

    def _dataset(self, name: str, options: DataOptions) -> Dataset:
        if name == SCOPE:
            scope = load_scope(self.path, archive=self.archive)
            return Dataset(
                name=name,
                task=scope.task,
                splits="scope",
                data=scope.data,
                labels="exact",
                options=options,
            )
        task = TASKS[name]
        labels: Labels = options.labels if self._has_arrays else "exact"
        if self._has_arrays:
            union = labels == "union"
            data = arrays.load_task(self.path, name, union=union, archive=self.archive)
        else:
            data = benchmark_files.load_task(self.path, self._structures, name)
        data = exclude(data, read_exclusions())
        if options.merge_duplicates and task.target == "binary":
            data = merge_duplicates(data)
        strict = data if options.keep_leaks else drop_leaks(data)
        if strict.splits.get(task.train) and strict.splits.get(task.validation):
            return Dataset(
                name=name,
                task=task,
                splits="published",
                data=strict,
                labels=labels,
                options=options,
                dropped=_dropped(data, strict),
            )
        return replace(_local(task, data, labels), options=options)


def _local(task: Task, data: TaskData, labels: Labels) -> Dataset:
    """Split a task anew whose training or validation split is not at hand."""
    total = sum(len(items) for items in data.splits.values())
    problem = ""
    if total < _FEWEST_ITEMS:
        problem = (
            f"nothing to train or to choose by in {task.train} and {task.validation}, and "
            f"{total} items in all are too few to make splits of"
        )
    else:
        data, task = local_splits(data), local_task(task)
        if not all(data.splits.values()):
            problem = f"the clusters of {total} items are too few to make splits of"
    return Dataset(
        name=data.task, task=task, splits="local", data=data, labels=labels, problem=problem
    )


def _dropped(before: TaskData, after: TaskData) -> dict[str, int]:
    return {
        split: count
        for split, items in before.splits.items()
        if (count := len(items) - len(after.splits[split]))
    }
