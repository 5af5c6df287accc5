"""What is in a results file, and do all of them belong to one comparison?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reporting import files

from image_tokenizers.rows import Row, common_settings, in_order, row_of
from provq_protein.errors import ConfigError
from provq_vision.metrics.record import Evaluation

FORMAT = "provq-image-tokenizers"
FORMAT_VERSION = 1
_ADVICE = "make it with benchmarks/image_tokenizers/measure.py"

Results = Mapping[str, Any]
# Key of the row, then seed.
Comparison = dict[str, dict[int, Results]]


@dataclass(frozen=True)
class Subject:
    """
    What a results file is about.

    Attributes
    ----------
    weights_sha256 : str
        Of the file of the model's weights.
    images : str
        Hash of the set of test images.
    size : int
        Sides of the crops in pixels.
    extractor : str or None
        Where the features of the Frechet distance are from.
    """

    weights_sha256: str
    images: str
    size: int
    extractor: str | None


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
    Evaluation.from_json(results.get("evaluation") or {}, where=f"{path}: evaluation")
    return results


def subject_of(results: Results) -> Subject:
    """
    Tell what results are about.

    Parameters
    ----------
    results : mapping
        From `load`.

    Returns
    -------
    Subject
        Model, images and features.
    """
    evaluation = results["evaluation"]
    return Subject(
        weights_sha256=results["model"]["weights_sha256"],
        images=evaluation["setting"]["images"],
        size=evaluation["setting"]["size"],
        extractor=(evaluation["frechet"] or {}).get("extractor"),
    )


def is_current(path: Path, subject: Subject) -> bool:
    """
    Tell whether a file holds the results that measuring would give.

    Parameters
    ----------
    path : Path
        Where they should be.
    subject : Subject
        What would be measured.

    Returns
    -------
    bool
        False if there is no such file, or it is about something else.
    """
    try:
        return subject_of(load(path)) == subject
    except ConfigError:
        return False


def row_in(results: Results) -> Row:
    """
    Tell which row results belong to.

    Parameters
    ----------
    results : mapping
        From `load`.

    Returns
    -------
    Row
        By the recipe that the model records.
    """
    return row_of(results["training"]["recipe"])


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
        Results by row, in the order of the tables, and seed.

    Raises
    ------
    ConfigError
        If there are none, or runs are not comparable: with other settings, training images, test
        images or features.
    """
    found = [load(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        msg = f"{folder}: contains no results; {_ADVICE}"
        raise ConfigError(msg)
    for other in found[1:]:
        _check_comparable(found[0], other)
    comparison: Comparison = {}
    for key in in_order(row_in(one).key for one in found):
        runs = {int(one["seed"]): one for one in found if row_in(one).key == key}
        comparison[key] = dict(sorted(runs.items()))
    return comparison


def _check_comparable(first: Results, other: Results) -> None:
    facts = [_facts(one) for one in (first, other)]
    names = [f"{row_in(one).key}.{one['seed']}" for one in (first, other)]
    for setting in dict.fromkeys([*facts[0], *facts[1]]):
        values = [one.get(setting, "absent") for one in facts]
        if values[0] != values[1]:
            msg = (
                f"{names[1]}: not comparable with {names[0]}: {setting} is {values[1]}, not "
                f"{values[0]}; train and measure both alike, or keep one of them elsewhere"
            )
            raise ConfigError(msg)


def _facts(results: Results) -> dict[str, Any]:
    frechet = results["evaluation"]["frechet"] or {}
    setting = results["evaluation"]["setting"]
    return {
        **common_settings(results["training"]["recipe"]),
        "training images": results["training"]["data_hash"],
        "test images": setting["images"],
        "number of test images": setting["n_images"],
        "size": setting["size"],
        "size of comparison": setting["eval_size"],
        "features": frechet.get("extractor"),
        "weights of the features": frechet.get("weights_sha256"),
        "reference": frechet.get("reference"),
    }
