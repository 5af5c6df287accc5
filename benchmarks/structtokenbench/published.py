"""What did the paper print, for every tokenizer and task?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from provq_protein.errors import ConfigError
from structtokenbench.strict_tables import check_keys, read_tables
from structtokenbench.tasks import TASKS

_NUMBERS = (int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookRow:
    """
    One line of the paper's table of codebooks.

    Parameters
    ----------
    model : str
        Tokenizer.
    casp14_utilization : float
        Codes in use on CASP14, in percent.
    casp14_perplexity : float
        Perplexity on CASP14, divided by the number of codes.
    cameo_utilization : float
        Codes in use on CAMEO, in percent.
    cameo_perplexity : float
        Perplexity on CAMEO, divided by the number of codes.
    distance : float
        Mean Euclidean distance between two codes.
    """

    model: str
    casp14_utilization: float
    casp14_perplexity: float
    cameo_utilization: float
    cameo_perplexity: float
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """
    The paper's tables 3 and 4.

    Parameters
    ----------
    columns : tuple of str
        Tokenizers of table 3, in the order of print.
    scores : mapping of (str, str) to mapping of str to float
        Per task and test split, per column, in percent.
    averages : mapping of str to mapping of str to float
        Per group of tasks, per column, as printed.
    codebooks : tuple of CodebookRow
        Table 4, in the order of print.
    """

    columns: tuple[str, ...]
    scores: Mapping[tuple[str, str], Mapping[str, float]]
    averages: Mapping[str, Mapping[str, float]]
    codebooks: tuple[CodebookRow, ...]


@cache
def published() -> Published:
    """
    Return the tables of the paper.

    Returns
    -------
    Published
        Read once.

    Raises
    ------
    ConfigError
        If the file of the package does not have one row for each of the 24 task-splits.

    Examples
    --------
    >>> published().scores["Homo", "test_family_holdout"]["AminoAseed+ProVQ"]
    87.39
    """
    where = "published.toml"
    content = read_tables(where)
    check_keys(content, {"columns": list, "row": list, "average": list, "codebook": list}, where)
    columns = tuple(content["columns"])
    scores = {}
    for row in content["row"]:
        check_keys(row, {"task": str, "split": str, "values": list}, f"{where}: row")
        scores[row["task"], row["split"]] = _by_column(columns, row["values"], where)
    expected = [(task.name, test.split) for task in TASKS.values() for test in task.tests]
    if list(scores) != expected:
        msg = f"{where}: rows are {list(scores)}, expected {expected}"
        raise ConfigError(msg)
    averages = {}
    for row in content["average"]:
        check_keys(row, {"group": str, "values": list}, f"{where}: average")
        averages[row["group"]] = _by_column(columns, row["values"], where)
    return Published(
        columns=columns,
        scores=MappingProxyType(scores),
        averages=MappingProxyType(averages),
        codebooks=tuple(_codebook(row, where) for row in content["codebook"]),
    )


def _by_column(columns: tuple[str, ...], values: list[float], where: str) -> Mapping[str, float]:
    if len(values) != len(columns) or not all(isinstance(value, _NUMBERS) for value in values):
        msg = f"{where}: expected {len(columns)} numbers, got {values}"
        raise ConfigError(msg)
    return MappingProxyType(dict(zip(columns, map(float, values), strict=True)))


def _codebook(row: dict[str, float], where: str) -> CodebookRow:
    names = [name for name in CodebookRow.__slots__ if name != "model"]
    check_keys(row, {"model": str, **dict.fromkeys(names, _NUMBERS)}, f"{where}: codebook")
    return CodebookRow(model=str(row["model"]), **{name: float(row[name]) for name in names})
