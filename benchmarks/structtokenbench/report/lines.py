"""What does one line of a results file say?"""

from collections.abc import Mapping, Sequence
from typing import Any

from structtokenbench.report.readings import (
    SCOPE_TASK,
    SPLIT_KINDS,
    CodebookReading,
    ProbeReading,
    SensitivityReading,
    Setup,
    Source,
    SplitCoverage,
    TestScore,
)
from structtokenbench.report.values import mapping, number, score, troubles
from structtokenbench.tasks import TASKS

_CORRELATIONS = ("spearman", "pearson")


def coverage_of(found: object, dropped: object = 0) -> SplitCoverage:
    """
    Read the coverage of a split.

    Parameters
    ----------
    found : object
        A mapping with ``listed``, ``used`` and ``problems``.
    dropped : object
        Number of leaks dropped.

    Returns
    -------
    SplitCoverage
        0 for what is missing.
    """
    values = mapping(found)
    return SplitCoverage(
        listed=_count(values.get("listed")),
        used=_count(values.get("used")),
        problems=troubles(values.get("problems")),
        dropped=_count(dropped),
    )


def probe_of(line: Mapping[str, Any], source: Source) -> ProbeReading:
    """
    Read a result of kind ``"probe"``.

    Parameters
    ----------
    line : mapping
        The result.
    source : Source
        Common part.

    Returns
    -------
    ProbeReading
        Its content.

    Raises
    ------
    ValueError
        If the task or the kind of splits is unknown, or if there is neither a score nor a reason.
    """
    data, probe = mapping(line.get("data")), mapping(line.get("probe"))
    task, kind = str(line.get("task")), str(line.get("splits"))
    if task not in (*TASKS, SCOPE_TASK):
        msg = f"task {task!r} is unknown"
        raise ValueError(msg)
    if kind not in SPLIT_KINDS:
        msg = f"splits {kind!r} are unknown"
        raise ValueError(msg)
    failed = "" if probe else str(line.get("failed") or "")
    if not probe and not failed:
        msg = "it has neither scores nor a reason why not"
        raise ValueError(msg)
    dropped = mapping(data.get("dropped_leaks"))
    return ProbeReading(
        source=source,
        task=task,
        setup=_setup(line, kind),
        tests={name: _test(one) for name, one in mapping(probe.get("splits")).items()},
        coverage={
            name: coverage_of(one, dropped.get(name))
            for name, one in mapping(data.get("coverage")).items()
        },
        token_problems=troubles(line.get("token_problems")),
        left_out=troubles(probe.get("left_out")),
        failed=failed,
        rates=tuple(number(mapping(x).get("learning_rate")) for x in probe.get("validation") or ()),
        rate=number(probe.get("learning_rate")),
    )


def codebook_of(line: Mapping[str, Any], source: Source) -> CodebookReading:
    """
    Read a result of kind ``"codebook"``.

    Parameters
    ----------
    line : mapping
        The result.
    source : Source
        Common part.

    Returns
    -------
    CodebookReading
        Its content.

    Raises
    ------
    ValueError
        If there are no counts.
    """
    data, usage = mapping(line.get("data")), mapping(line.get("usage"))
    if not usage:
        raise ValueError(str(line.get("failed") or "it has no counts of codes"))
    return CodebookReading(
        source=source,
        set_name=str(line.get("set")),
        chains=_count(data.get("chains")) or _count(usage.get("chains")),
        token_problems=troubles(data.get("token_problems") or line.get("token_problems")),
        counts=tuple(int(count) for count in usage.get("counts") or ()),
        usage=usage,
        geometry=mapping(line.get("geometry")),
    )


def sensitivity_of(line: Mapping[str, Any], source: Source) -> SensitivityReading:
    """
    Read a result of kind ``"sensitivity"``.

    Parameters
    ----------
    line : mapping
        The result.
    source : Source
        Common part.

    Returns
    -------
    SensitivityReading
        Its content.

    Raises
    ------
    ValueError
        If there is no result.
    """
    result = mapping(line.get("result"))
    if not result:
        raise ValueError(str(line.get("failed") or "it has no correlations"))
    names = (f"{how}_{what}" for how in ("normalized", "raw", "length") for what in _CORRELATIONS)
    points = [
        (number(mapping(one).get("tm_score")), number(mapping(one).get("normalized")))
        for one in line.get("scores") or result.get("scores") or ()
    ]
    return SensitivityReading(
        source=source,
        set_name=str(line.get("set")),
        coverage=coverage_of(result.get("coverage")),
        estimates={name: score(result.get(name)) for name in names},
        points=tuple(pair for pair in points if pair[0] == pair[0] and pair[1] == pair[1]),
    )


def _setup(line: Mapping[str, Any], kind: str) -> Setup:
    data = mapping(line.get("data"))
    settings = (mapping(line.get("settings")), mapping(mapping(line.get("probe")).get("settings")))
    changed = {"keep_leaks": "leaks kept", "merge_duplicates": "duplicates merged"}
    options = [text for name, text in changed.items() if _first((data, *settings), name) is True]
    return Setup(
        splits=kind,
        labels=str(data.get("labels") or ""),
        options=", ".join(options),
        preset=str(_preset(*settings) or ""),
    )


def _preset(settings: Mapping[str, Any], of_probe: Mapping[str, Any]) -> object:
    nested = mapping(settings.get("probe"))
    named = (of_probe.get("name"), settings.get("preset"), nested.get("name"), settings.get("name"))
    return next((name for name in named if name), None)


def _first(places: Sequence[object], name: str) -> Any:  # noqa: ANN401  # JSON value
    """Value of the first key of a name, searched level by level."""
    while places:
        for place in places:
            if isinstance(place, Mapping) and name in place:
                return place[name]
        places = [
            inner for place in places if isinstance(place, Mapping) for inner in place.values()
        ]
    return None


def _test(found: object) -> TestScore:
    values = mapping(found)
    return TestScore(
        estimates={name: score(one) for name, one in mapping(values.get("estimates")).items()},
        proteins=_count(values.get("proteins")),
        labelled=_count(values.get("labelled")),
        scored=_count(values.get("scored")),
        note=str(values.get("note") or ""),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
