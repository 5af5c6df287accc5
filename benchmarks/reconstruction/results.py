"""What is in a results file, and is it still about the model it names?"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting import files

from provq_protein.errors import ConfigError
from provq_protein.runs import checkpoint

FORMAT = "provq-reconstruction"
FORMAT_VERSION = 1


def weights_digest(model_folder: Path) -> str:
    """
    Return the SHA-256 of a model's weights file.

    Parameters
    ----------
    model_folder : Path
        A model folder.

    Returns
    -------
    str
        64 hex digits.
    """
    return hashlib.sha256((model_folder / checkpoint.WEIGHTS).read_bytes()).hexdigest()


def load_results(path: Path) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        As ``run.py`` wrote it.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    advice = "make it with benchmarks/reconstruction/run.py"
    return files.load_results(path, kind=FORMAT, version=FORMAT_VERSION, advice=advice)


def check_model(results: Mapping[str, Any], model_folder: Path) -> None:
    """
    Refuse results of other weights than those in a model folder.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    model_folder : Path
        The model that they should be about.

    Raises
    ------
    ConfigError
        If the weights have another digest.
    """
    found, recorded = weights_digest(model_folder), results["model"]["weights_sha256"]
    if found != recorded:
        msg = (
            f"{model_folder}: the weights have SHA-256 {found[:16]}..., the results are about "
            f"{recorded[:16]}...; measure again with benchmarks/reconstruction/run.py"
        )
        raise ConfigError(msg)
