"""How did a run go, in few enough numbers to keep?"""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError

METRICS = "metrics.jsonl"
# Steps are averaged by this many at least, and so that this many points are left at most.
_WINDOW, _POINTS = 10, 100
_DIGITS = 5


def read_curves(path: Path, *, train: Sequence[str], validation: Sequence[str]) -> dict[str, Any]:
    """
    Read the log of a run.

    Parameters
    ----------
    path : Path
        Its ``metrics.jsonl``.
    train : sequence of str
        What to keep of the steps.
    validation : sequence of str
        What to keep of the validations.

    Returns
    -------
    dict
        ``train``: means over windows of ``window`` steps, by the middle of the window;
        ``validation``: as logged.

    Raises
    ------
    ConfigError
        If there is no such log, or it has no steps.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); a finished run has a log of its steps"
        raise ConfigError(msg) from error
    events = [event for line in lines if (event := _event(line)) is not None]
    # A run that went on from a checkpoint may have written a step twice; the last one counts.
    steps = {event["step"]: event for event in events if event.get("kind") == "train"}
    checks = {event["step"]: event for event in events if event.get("kind") == "validation"}
    if not steps:
        msg = f"{path}: contains no training steps; measure a finished run"
        raise ConfigError(msg)
    ordered = [steps[step] for step in sorted(steps)]
    window = max(_WINDOW, math.ceil(len(ordered) / _POINTS))
    groups = [ordered[start : start + window] for start in range(0, len(ordered), window)]
    seen = [checks[step] for step in sorted(checks)]
    return {
        "window": window,
        "train": {
            "step": [statistics.mean(event["step"] for event in group) for group in groups],
            **{name: [_mean(group, name) for group in groups] for name in train},
        },
        "validation": {
            name: [_rounded(event.get(name)) for event in seen] for name in ("step", *validation)
        },
    }


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:  # cut off by a kill
        return None
    return event if isinstance(event, dict) else None


def _mean(group: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [event[name] for event in group if event.get(name) is not None]
    return _rounded(statistics.mean(values)) if values else None


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value
