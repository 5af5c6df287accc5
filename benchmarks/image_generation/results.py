"""What is in a results file, and do all of them belong to one comparison?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_tokenizers.rows import common_settings, in_order
from reporting import files

from provq_protein.errors import ConfigError
from provq_vision.metrics.generation.record import SampleScores

FORMAT = "provq-image-generation"
FORMAT_VERSION = 1
REAL = "real"
_ADVICE = "make it with benchmarks/image_generation/measure.py"

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """
    All results.

    Attributes
    ----------
    real : SampleScores
        Of real images that are not the reference, as many as samples: nobody can be better.
    runs : dict
        Results by row of the tokenizer, in the order of the tables, and seed.
    """

    real: SampleScores
    runs: dict[str, dict[int, Results]]


def path_of(folder: Path, row: str, seed: int) -> Path:
    """
    Return where the results of a run are kept.

    Parameters
    ----------
    folder : Path
        Of all results.
    row : str
        Key of the row.
    seed : int
        Of the run.

    Returns
    -------
    Path
        A JSON file.
    """
    return folder / f"{row}.{seed}.json"


def load(path: Path) -> dict[str, Any]:
    """
    Read a results file.

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
    for entry in (results, *results.get("samples", ())):
        SampleScores.from_json(entry.get("scores") or {}, where=f"{path}: scores")
    return results


def scores_of(entry: Results) -> SampleScores:
    """
    Return the scores in an entry.

    Parameters
    ----------
    entry : mapping
        Has ``scores``: one of ``samples``, or the whole of a file, whose scores are those of
        reconstructions.

    Returns
    -------
    SampleScores
        All numbers.
    """
    return SampleScores.from_json(entry["scores"])


def load_all(folder: Path) -> Comparison:
    """
    Read all results of a folder.

    Parameters
    ----------
    folder : Path
        Where they are kept.

    Returns
    -------
    Comparison
        Of all rows.

    Raises
    ------
    ConfigError
        If there are none, or runs are not comparable: with other settings, training images,
        reference or features.
    """
    real = load(folder / f"{REAL}.json")
    found = [load(path) for path in sorted(folder.glob("*.json")) if path.stem != REAL]
    if not found:
        msg = f"{folder}: contains no results of a model; {_ADVICE}"
        raise ConfigError(msg)
    for other in found:
        _check_comparable(found[0], other)
        _check_alike("real images", _ruler(real), _name(other), _ruler(other))
    runs: dict[str, dict[int, Results]] = {}
    for key in in_order(one["row"] for one in found):
        own = {int(one["seed"]): one for one in found if one["row"] == key}
        runs[key] = dict(sorted(own.items()))
    return Comparison(scores_of(real), runs)


def _check_comparable(first: Results, other: Results) -> None:
    _check_alike(_name(first), _facts(first), _name(other), _facts(other))


def _check_alike(name: str, facts: Results, other_name: str, others: Results) -> None:
    for setting in dict.fromkeys([*facts, *others]):
        one, two = (each.get(setting, "absent") for each in (facts, others))
        if one != two:
            msg = (
                f"{other_name}: not comparable with {name}: {setting} is {two}, not {one}; train "
                "and measure both alike, or keep one of them elsewhere"
            )
            raise ConfigError(msg)


def _name(results: Results) -> str:
    return f"{results['row']}.{results['seed']}"


def _facts(results: Results) -> dict[str, Any]:
    gpt, tokenizer = results["gpt"]["training"], results["tokenizer"]["training"]
    recipes = {"tokenizer": tokenizer["recipe"], "model": gpt["recipe"]}
    settings = {
        f"{kind}: {name}": value
        for kind, recipe in recipes.items()
        for name, value in common_settings(recipe).items()
        # The settings of a tokenizer that make its row.
        if kind == "model" or not name.startswith("curriculum.")
    }
    drawn = {(entry["guidance"], entry["seed"]) for entry in results["samples"]}
    return {
        **settings,
        **_ruler(results),
        "training images of the tokenizer": tokenizer["data_hash"],
        "training images": gpt["training_images"],
        "views of each": gpt["views"],
        "samples": sorted(drawn),
        "images of each class": results["per_class"],
        "width": results["width"],
    }


def _ruler(results: Results) -> dict[str, Any]:
    setting = scores_of(results).setting
    return {
        "reference": setting.reference,
        "images of the reference": setting.n_reference,
        "images measured": setting.n_samples,
        "size": setting.size,
        "features": setting.extractor,
        "spatial features": setting.spatial_extractor,
        "weights of the features": setting.weights_sha256,
    }
