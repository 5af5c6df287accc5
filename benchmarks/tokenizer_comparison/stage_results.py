"""What is kept of the stages of a run, and do all runs belong to one figure?"""

from pathlib import Path
from typing import Any

from reporting import files

from provq_protein.errors import ConfigError
from provq_protein.training.config import complete_recipe
from tokenizer_comparison.results import Comparison, Results, check_same
from tokenizer_comparison.stage_measures import STAGES
from tokenizer_comparison.variants import VARIANTS, common_settings

FORMAT = "provq-tokenizer-stages"
FORMAT_VERSION = 1
# Within the folder of the other results, which are read by their place in it.
FOLDER = "stages"
_ADVICE = "make it with benchmarks/tokenizer_comparison/stages.py"


def load(path: Path) -> dict[str, Any]:
    """
    Read the stages of one run.

    Parameters
    ----------
    path : Path
        As ``stages.py`` wrote it.

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
    found = [one.get("name") for one in results.get("stages", [])]
    if found != list(STAGES):
        msg = f"{path}: stages {found}, expected {list(STAGES)}; {_ADVICE}"
        raise ConfigError(msg)
    return results


def load_all(folder: Path) -> Comparison:
    """
    Read the stages of all runs.

    Parameters
    ----------
    folder : Path
        Where they are kept.

    Returns
    -------
    dict
        Results by variant, in the order of `VARIANTS`, and seed; empty if there are none.

    Raises
    ------
    ConfigError
        If runs are not comparable: with other settings, data, residues or steps.
    """
    found = [load(path) for path in sorted(folder.glob("*.json"))]
    for other in found[1:]:
        names = [f"stages of {one['variant']}.{one['seed']}" for one in (found[0], other)]
        check_same([_facts(found[0]), _facts(other)], names)
    comparison: Comparison = {}
    for variant in VARIANTS:
        runs = {int(one["seed"]): one for one in found if one["variant"] == variant}
        if runs:
            comparison[variant] = dict(sorted(runs.items()))
    return comparison


def _facts(run: Results) -> dict[str, Any]:
    return {
        **common_settings(complete_recipe(run["training"]["recipe"])),
        "training data": run["training"]["data_hash"],
        **{f"{name} of the sample": value for name, value in run["sample"].items()},
        **{f"step of {one['name']}": one["step"] for one in run["stages"]},
    }
