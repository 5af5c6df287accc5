"""Which tasks does the benchmark have, and what belongs to each?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from provq_protein.errors import ConfigError
from structtokenbench.strict_tables import check_keys, one_of, read_tables

Group = Literal["functional", "physicochemical", "structural"]
Level = Literal["residue", "chain"]
Target = Literal["binary", "regression", "classes"]
MetricName = Literal["auroc", "spearman", "macro_f1"]

GROUPS: tuple[Group, ...] = ("functional", "physicochemical", "structural")

_METRIC_OF: dict[str, MetricName] = {
    "binary": "auroc",
    "regression": "spearman",
    "classes": "macro_f1",
}
_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str, "group": str, "level": str, "target": str, "metric": str, "num_outputs": int,
    "label_scale": float, "source": str, "dataset": str, "label_field": str, "raw_field": str,
    "table": str, "renumbered": bool, "train": str, "validation": str, "batch_size": int,
    "tests": list, "sizes": dict,
}  # fmt: skip
_ALIASES = {
    "valid": "validation",
    "val": "validation",
    "fold": "fold_test",
    "superfamily": "superfamily_test",
}
_HOMOLOGY_ALIASES = {
    "fold": "test_fold_holdout",
    "superfamily": "test_superfamily_holdout",
    "family": "test_family_holdout",
    "fold_test": "test_fold_holdout",
    "superfamily_test": "test_superfamily_holdout",
}


class TestSplit(NamedTuple):
    """
    One column pair of the published table: a test split and what it is called in print.

    Parameters
    ----------
    split : str
        Name of the split, for instance ``"fold_test"``.
    label : str
        Name in the paper: ``"Fold"``, ``"SupFam"``, ``"Fam"`` or ``"Org"``.
    """

    # pytest would collect the class by its name.
    __test__ = False

    split: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    One task: what is predicted, from which files, and how it is scored.

    Parameters
    ----------
    name : str
        For instance ``"BindInt"``.
    group : {"functional", "physicochemical", "structural"}
        The group whose tasks the paper averages.
    level : {"residue", "chain"}
        Whether there is a label per residue or one per item.
    target : {"binary", "regression", "classes"}
        What a label is.
    metric : {"auroc", "spearman", "macro_f1"}
        The published score; higher is better for all three.
    num_outputs : int
        Outputs of the probe: 1, or the number of classes.
    label_scale : float
        What the benchmark multiplied the raw quantity by. Labels of an `Item` are in the scaled
        unit already, whatever source they come from: divide by `label_scale` to get Angstrom,
        square Angstrom or equivalent blocks.
    source : str
        The database that the labels come from.
    dataset : str
        Prefix of the benchmark's files.
    label_field : str
        Key of the labels in the benchmark's files.
    raw_field : str
        What the source database calls the quantity.
    table : str
        Name of the processed CSV file, or ``""``.
    renumbered : bool
        Whether residue numbers in the benchmark's files count the residues of the source's own
        model of the chain, from 1, and not as the authors of the entry do.
    train : str
        Name of the training split.
    validation : str
        Name of the validation split.
    batch_size : int
        Proteins per batch of the published score.
    tests : tuple of TestSplit
        The test splits, in the order of the published table.
    sizes : mapping of str to int
        Items of the benchmark's own files, for the splits whose size is known.
    """

    name: str
    group: Group
    level: Level
    target: Target
    metric: MetricName
    num_outputs: int
    label_scale: float
    source: str
    dataset: str
    label_field: str
    raw_field: str
    table: str
    renumbered: bool
    train: str
    validation: str
    batch_size: int
    tests: tuple[TestSplit, ...]
    sizes: Mapping[str, int]

    @property
    def splits(self) -> tuple[str, ...]:
        """Training, validation and test splits, in this order."""
        return (self.train, self.validation, *(test.split for test in self.tests))

    def split_name(self, name: str) -> str:
        """
        Return the registry's name of a split.

        Parameters
        ----------
        name : str
            A name that one of the benchmark's files uses, such as ``"valid"`` or ``"fold"``.

        Returns
        -------
        str
            One of `splits`.

        Raises
        ------
        ConfigError
            If no split is called so.

        Examples
        --------
        >>> TASKS["Rep"].split_name("valid"), TASKS["Homo"].split_name("fold")
        ('validation', 'test_fold_holdout')
        """
        homology = "test_fold_holdout" in self.splits
        aliases = _ALIASES | (_HOMOLOGY_ALIASES if homology else {})
        found = name if name in self.splits else aliases.get(name, name)
        if found not in self.splits:
            msg = f"task {self.name}: no split {name!r}; it has {', '.join(self.splits)}"
            raise ConfigError(msg)
        return found


def read_tasks(source: str | Path = "tasks.toml") -> Mapping[str, Task]:
    """
    Return the tasks of a registry file.

    Parameters
    ----------
    source : str or Path
        The package's own file, or the path of another.

    Returns
    -------
    mapping of str to Task
        By name, in the order of the file.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or of the wrong type, or if values contradict each other.
    """
    content = read_tables(source)
    check_keys(content, {"task": list}, str(source))
    tasks = [_task(table, f"{source}: task {at}") for at, table in enumerate(content["task"], 1)]
    if len({task.name for task in tasks}) != len(tasks):
        msg = f"{source}: two tasks of one name; names are {[task.name for task in tasks]}"
        raise ConfigError(msg)
    return MappingProxyType({task.name: task for task in tasks})


def _task(table: dict[str, Any], where: str) -> Task:
    check_keys(table, _KEYS, where)
    where = f"{where} ({table['name']})"
    one_of(table["group"], GROUPS, f"{where}: group")
    one_of(table["level"], ("residue", "chain"), f"{where}: level")
    one_of(table["target"], tuple(_METRIC_OF), f"{where}: target")
    one_of(table["metric"], (_METRIC_OF[table["target"]],), f"{where}: metric")
    tests = []
    for test in table["tests"]:
        check_keys(test, {"split": str, "label": str}, f"{where}: tests")
        tests.append(TestSplit(test["split"], test["label"]))
    task = Task(**{**table, "tests": tuple(tests), "sizes": MappingProxyType(table["sizes"])})
    _check_values(task, where)
    return task


def _check_values(task: Task, where: str) -> None:
    if len(set(task.splits)) != len(task.splits) or not task.tests:
        msg = f"{where}: splits must be distinct and at least one a test, got {task.splits}"
        raise ConfigError(msg)
    if (task.num_outputs > 1) != (task.target == "classes") or task.num_outputs < 1:
        msg = f"{where}: num_outputs {task.num_outputs} does not fit target {task.target!r}"
        raise ConfigError(msg)
    if task.label_scale <= 0 or task.batch_size < 1:
        msg = f"{where}: label_scale and batch_size must be positive"
        raise ConfigError(msg)
    check_keys(
        task.sizes,
        {split: int for split in task.splits if split in task.sizes},
        f"{where}: sizes",
    )


TASKS: Mapping[str, Task] = read_tasks()


def task_named(name: str) -> Task:
    """
    Return a task, or say which there are.

    Parameters
    ----------
    name : str
        Name of a task, in any case.

    Returns
    -------
    Task
        The task.

    Raises
    ------
    ConfigError
        If there is none of this name.

    Examples
    --------
    >>> task_named("bindint").name
    'BindInt'
    """
    for task in TASKS.values():
        if task.name.lower() == name.lower():
            return task
    msg = f"no task {name!r}; the tasks are {', '.join(TASKS)}"
    raise ConfigError(msg)
