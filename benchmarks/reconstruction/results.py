"""What is in a results file, and is it still about the model it names?"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def save_results(path: Path, results: Mapping[str, Any]) -> None:
    """
    Write results, one chain per line.

    Parameters
    ----------
    path : Path
        The JSON file; replaced if it exists.
    results : mapping
        JSON values.
    """
    # A table with one line per chain can be read, and its changes reviewed.
    compact: dict[str, str] = {}

    def shorten(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: shorten(one) for key, one in value.items()}
        if isinstance(value, list) and not any(isinstance(one, list | Mapping) for one in value):
            key = f"@{len(compact)}@"
            compact[key] = json.dumps(value, ensure_ascii=False)
            return key
        return [shorten(one) for one in value] if isinstance(value, list) else value

    text = json.dumps(shorten(results), indent=1, ensure_ascii=False)
    for key, line in reversed(compact.items()):
        text = text.replace(f'"{key}"', line)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def load_results(path: Path) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        As `save_results` wrote it.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: is no results file ({error}); make it with benchmarks/reconstruction/run.py"
        raise ConfigError(msg) from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        msg = f"{path}: is no results file; make it with benchmarks/reconstruction/run.py"
        raise ConfigError(msg)
    if results.get("format_version") != FORMAT_VERSION:
        found = results.get("format_version")
        msg = f"{path}: results format {found}; this release reads {FORMAT_VERSION}"
        raise ConfigError(msg)
    return results


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
