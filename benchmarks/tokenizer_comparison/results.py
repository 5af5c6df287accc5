"""What is in a results file, and do all of them belong to one comparison?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconstruction.results import weights_digest
from reporting import files

from provq_protein.errors import ConfigError
from provq_protein.training.config import complete_recipe
from tokenizer_comparison.variants import VARIANTS, common_settings

FORMAT = "provq-tokenizers"
FORMAT_VERSION = 1
_ADVICE = "make it with benchmarks/tokenizer_comparison/measure.py"

Results = Mapping[str, Any]
# Variant, then seed.
Comparison = dict[str, dict[int, Results]]


def path_of(folder: Path, variant: str, seed: int) -> Path:
    """
    Return where the results of a run are kept.

    Parameters
    ----------
    folder : Path
        Of all results.
    variant : str
        A key of `VARIANTS`.
    seed : int
        Of the run.

    Returns
    -------
    Path
        A JSON file.
    """
    return folder / f"{variant}.{seed}.json"


def load(path: Path) -> dict[str, Any]:
    """
    Read the results of one run.

    Parameters
    ----------
    path : Path
        As ``measure.py`` wrote it.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    results = files.load_results(path, kind=FORMAT, version=FORMAT_VERSION, advice=_ADVICE)
    if results.get("variant") not in VARIANTS:
        msg = f"{path}: variant {results.get('variant')!r}; known are {', '.join(VARIANTS)}"
        raise ConfigError(msg)
    return results


def is_current(path: Path, model_folder: Path, sets: Sequence[tuple[str, str]]) -> bool:
    """
    Tell whether a file holds the results of a model on certain chains.

    Parameters
    ----------
    path : Path
        Where they should be.
    model_folder : Path
        The model.
    sets : sequence of tuple of (str, str)
        Names and content hashes of the sets.

    Returns
    -------
    bool
        False if there is no such file, it is about other weights, or about other chains.
    """
    try:
        results = load(path)
    except ConfigError:
        return False
    measured = [(name, one["content_hash"]) for name, one in results["sets"].items()]
    same = results["model"]["weights_sha256"] == weights_digest(model_folder)
    return same and measured == list(sets)


def load_all(folder: Path) -> Comparison:
    """
    Read all results of a folder.

    Parameters
    ----------
    folder : Path
        Where they are kept.

    Returns
    -------
    dict
        Results by variant, in the order of `VARIANTS`, and seed.

    Raises
    ------
    ConfigError
        If there are none, or runs are not comparable: with other settings, training data or
        test chains.
    """
    found = [load(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        msg = f"{folder}: contains no results; {_ADVICE}"
        raise ConfigError(msg)
    for other in found[1:]:
        _check_comparable(found[0], other)
    comparison: Comparison = {}
    for variant in VARIANTS:
        runs = {int(one["seed"]): one for one in found if one["variant"] == variant}
        if runs:
            comparison[variant] = dict(sorted(runs.items()))
    return comparison


def _check_comparable(first: Results, other: Results) -> None:
    facts = [
        {
            **common_settings(complete_recipe(one["training"]["recipe"])),
            "training data": one["training"]["data_hash"],
            **{f"chains of {name}": part["content_hash"] for name, part in one["sets"].items()},
        }
        for one in (first, other)
    ]
    check_same(facts, [f"{one['variant']}.{one['seed']}" for one in (first, other)])


def check_same(facts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """
    Refuse to compare two runs that differ in what they should share.

    Parameters
    ----------
    facts : sequence of mapping
        Of the first run and of the other.
    names : sequence of str
        Theirs, for the message.

    Raises
    ------
    ConfigError
        If one of the facts differs, or only one of the runs has it.
    """
    for setting in [*facts[0], *(key for key in facts[1] if key not in facts[0])]:
        values = [one.get(setting, "absent") for one in facts]
        if values[0] != values[1]:
            msg = (
                f"{names[1]}: not comparable with {names[0]}: {setting} is {values[1]}, not "
                f"{values[0]}; train both with the same, or keep one of them elsewhere"
            )
            raise ConfigError(msg)
