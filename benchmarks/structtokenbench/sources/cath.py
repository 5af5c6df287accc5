"""How are labelled chains split by CATH, so that tests hold unseen folds or superfamilies?"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from provq_protein.errors import ConfigError
from structtokenbench.errors import SourceError
from structtokenbench.items import Coverage, Item, Problem, TaskData
from structtokenbench.sources.assembly import content_hash
from structtokenbench.tasks import task_named

_SPLITS = ("train", "validation", "fold_test", "superfamily_test")
_DOMAIN = re.compile(r"([0-9][a-z0-9]{3})([A-Za-z0-9])([0-9]{2})")
_LEVELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CathShares:
    """
    How much is held out at each step; the defaults are those of all tasks but Ept.

    Parameters
    ----------
    fold : float
        Share of the superfamilies of a fold that go to the fold test.
    superfamily : float
        Share of the items of a remaining superfamily that go to the superfamily test.
    fold_validation : float
        Share of the fold test that becomes validation.
    superfamily_validation : float
        Share of the superfamily test that becomes validation.
    """

    fold: float = 0.4
    superfamily: float = 0.2
    fold_validation: float = 0.2
    superfamily_validation: float = 0.2

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1."""
        for name in self.__slots__:
            if not 0 <= getattr(self, name) < 1:
                msg = f"share {name} must be at least 0 and below 1, got {getattr(self, name)}"
                raise ConfigError(msg)


EPITOPE_SHARES = CathShares(
    fold=0.5, fold_validation=0.2, superfamily=0.4, superfamily_validation=0.4
)
"""The shares of Ept."""


def read_domains(path: Path) -> Mapping[str, tuple[str, ...]]:
    """
    Return the classification of the domains of each chain.

    Parameters
    ----------
    path : Path
        ``cath-domain-list.txt``: domain id, then the numbers C, A, T and H, and others.

    Returns
    -------
    mapping of str to tuple of str
        Per chain, such as ``"1oai_A"``, the paths of its domains, such as ``"1.10.8.10"``.

    Raises
    ------
    SourceError
        If the file cannot be read, or a line is not of this form.
    """
    found: dict[str, list[str]] = defaultdict(list)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        match = _DOMAIN.fullmatch(fields[0])
        numbers = fields[1 : _LEVELS + 1]
        if match is None or len(numbers) < _LEVELS or not all(one.isdigit() for one in numbers):
            msg = f"{path.name}:{number}: not a line of cath-domain-list.txt: {line[:60]!r}"
            raise SourceError(msg)
        found[f"{match[1]}_{match[2]}"].append(".".join(numbers))
    return MappingProxyType({chain: tuple(paths) for chain, paths in found.items()})


def split_by_cath(
    data: TaskData,
    domains: Mapping[str, Sequence[str]],
    *,
    seed: int = 42,
    shares: CathShares | None = None,
    compat: bool = False,
) -> TaskData:
    """
    Split the items of a task as the benchmark does.

    Parameters
    ----------
    data : TaskData
        A task, for instance with the one split of a raw source.
    domains : mapping of str to sequence of str
        From `read_domains`.
    seed : int
        Of all random choices.
    shares : CathShares, optional
        How much is held out.
    compat : bool
        Whether a fold is its T number alone and a superfamily its H number alone, as in the
        published splits, which throws folds of different architectures together. By default they
        are paths, C.A.T and C.A.T.H.

    Returns
    -------
    TaskData
        Splits train, validation, fold_test and superfamily_test. Chains that CATH does not have,
        or whose domains are of several superfamilies, are problems of train, and so are those of
        the source.

    Raises
    ------
    ConfigError
        If the task has other splits.

    Notes
    -----
    Of a fold with three superfamilies or more, the given share of them goes to the fold test; of
    each remaining superfamily with five items or more, the share of its items to the superfamily
    test; parts of both become validation. So a fold of the fold test is in training, but not its
    superfamily. The published splits made the same choices with other random numbers.
    """
    task = task_named(data.task)
    if set(task.splits) != set(_SPLITS):
        msg = f"task {task.name} is not split by CATH; its splits are {', '.join(task.splits)}"
        raise ConfigError(msg)
    placed: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    problems = [
        Problem(id=one.id, reason=f"{split}: {one.reason}")
        for split, coverage in data.coverage.items()
        for one in coverage.problems
    ]
    for item in (item for items in data.splits.values() for item in items):
        paths = sorted(set(domains.get(item.chain, ())))
        if len(paths) != 1:
            what = f"has domains of several superfamilies: {', '.join(paths)}"
            problems.append(Problem(id=item.id, reason=what if paths else "is not in CATH"))
            continue
        fold, superfamily = _keys(paths[0], compat)
        placed[fold][superfamily].append(item)
    splits = _dealt(placed, np.random.default_rng(seed), shares or CathShares())
    coverage = {split: Coverage(listed=len(one), used=len(one)) for split, one in splits.items()}
    used = len(splits["train"])
    coverage["train"] = Coverage(listed=used + len(problems), used=used, problems=tuple(problems))
    kept = {item.chain for items in splits.values() for item in items}
    chains = {key: chain for key, chain in data.chains.items() if key in kept}
    return replace(
        data,
        splits=splits,
        chains=chains,
        coverage=coverage,
        origin=f"{data.origin}; split by CATH{' (compat)' if compat else ''}, seed {seed}",
        content_hash=content_hash(splits.items(), chains),
    )


def _keys(path: str, compat: bool) -> tuple[str, str]:
    numbers = path.split(".")
    if compat:
        return numbers[2], numbers[3]
    return ".".join(numbers[:3]), path


def _dealt(
    placed: Mapping[str, Mapping[str, Sequence[Item]]],
    rng: np.random.Generator,
    shares: CathShares,
) -> dict[str, tuple[Item, ...]]:
    fold_test: list[Item] = []
    pool: dict[str, list[Item]] = defaultdict(list)
    for fold in sorted(placed):
        names = rng.permutation(sorted(placed[fold])).tolist()
        held = int(len(names) * shares.fold)
        for at, name in enumerate(names):
            (fold_test if at < held else pool[name]).extend(placed[fold][name])
    train: list[Item] = []
    superfamily_test: list[Item] = []
    for name in sorted(pool):
        held, rest = _parted(pool[name], shares.superfamily, rng)
        superfamily_test += held
        train += rest
    validation, fold_test = _parted(fold_test, shares.fold_validation, rng)
    more, superfamily_test = _parted(superfamily_test, shares.superfamily_validation, rng)
    found = (train, [*validation, *more], fold_test, superfamily_test)
    return {split: tuple(items) for split, items in zip(_SPLITS, found, strict=True)}


def _parted(
    items: Sequence[Item], share: float, rng: np.random.Generator
) -> tuple[list[Item], list[Item]]:
    order = rng.permutation(len(items)).tolist()
    held = int(len(items) * share)
    return [items[at] for at in order[:held]], [items[at] for at in order[held:]]
