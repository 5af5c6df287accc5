"""How was it measured?"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from structtokenbench.report.blocks import Column, Row, Table, plain
from structtokenbench.report.reading import sources
from structtokenbench.report.readings import (
    CodebookReading,
    Readings,
    SensitivityReading,
    Source,
)
from structtokenbench.report.values import MISSING, listed, times, written

_SHOWN_VALUES = 4


def tokenizer_table(found: Readings) -> Table:
    """
    List the tokenizers.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    Table
        With fingerprints, sizes, and the time their results took.
    """
    columns = (
        Column("tokenizer", "text"), Column("fingerprint", "text"), Column("codes"),
        Column("dimensions"), Column("results"), Column("minutes"),
    )  # fmt: skip
    every = sources(found)
    rows = []
    for one in found.tokenizers:
        own = [source for source in every if source.tokenizer == one]
        seconds = math.fsum(source.seconds for source in own if math.isfinite(source.seconds))
        sizes = (MISSING if size is None else f"{size:,}" for size in (one.codes, one.dim))
        row = (one.label, one.fingerprint, *sizes, f"{len(own):,}", written(seconds / 60, 1))
        rows.append(plain(*row))
    return Table(columns, tuple(rows))


def data_table(found: Readings) -> Table:
    """
    List what was measured on.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    Table
        Origin and hash of each task and set.
    """
    columns = (
        Column("task or set", "text"), Column("splits", "text"), Column("labels", "text"),
        Column("content", "text"), Column("origin", "text"),
    )  # fmt: skip
    rows: dict[tuple[str, ...], Row] = {}
    for one in found.probes:
        what = (one.task, one.setup.splits, one.setup.labels)
        cells = (*what, one.source.content_hash, one.source.origin)
        rows.setdefault(cells, plain(*cells))
    unlabelled: tuple[CodebookReading | SensitivityReading, ...]
    unlabelled = (*found.codebooks, *found.sensitivities)
    for other in unlabelled:
        source = other.source
        cells = (other.set_name, "", "", source.content_hash, source.origin)
        rows.setdefault(cells, plain(*cells))
    return Table(columns, tuple(row for cells, row in rows.items() if any(cells[3:])))


def settings(found: Readings) -> tuple[str, ...]:
    """
    Say under which settings and versions it was measured.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        One sentence for each kind of result; what differs within it has all its values.
    """
    kinds: Mapping[str, Sequence[Source]] = {
        "Probes": [one.source for one in found.probes],
        "Codebooks": [one.source for one in found.codebooks],
        "Sensitivity": [one.source for one in found.sensitivities],
    }
    said = [
        f"{kind}: {text}."
        for kind, own in kinds.items()
        if (text := _values([source.settings for source in own]))
    ]
    versions = _values([source.versions for source in sources(found)])
    return (*said, *([f"Versions: {versions}."] if versions else []))


def projections(found: Readings) -> tuple[str, ...]:
    """
    Say whose codes were probed in fewer dimensions than they have.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        One sentence per number of dimensions.
    """
    names: dict[int, dict[str, None]] = {}
    for one in found.probes:
        dims = one.source.settings.get("table_dims")
        if isinstance(dims, int):
            names.setdefault(dims, {})[one.source.tokenizer.name] = None
    return tuple(
        f"Codes of {listed(list(some))} with more than {dims} dimensions were projected on {dims}, "
        "those in which the codes of the training split vary most."
        for dims, some in sorted(names.items())
    )


def rates(found: Readings) -> tuple[str, ...]:
    """
    Say whether the sweep of learning rates was wide enough.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        One sentence, or none if nothing was probed.
    """
    swept = [one for one in found.probes if len(one.rates) > 1 and math.isfinite(one.rate)]
    if not swept:
        return ()
    lowest = sum(one.rate <= min(one.rates) for one in swept)
    highest = sum(one.rate >= max(one.rates) for one in swept)
    return (
        f"Of {times(len(swept), 'probe')}, {lowest} did best with the lowest learning rate of the "
        f"sweep and {highest} with the highest.",
    )


def different_data(found: Readings) -> tuple[str, ...]:
    """
    Warn of scores that stand in one row and are not of the same data.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    tuple of str
        One sentence per task, kind of splits and setup.
    """
    hashes: dict[tuple[str, object], set[str]] = {}
    for one in found.probes:
        if one.tests and one.source.content_hash:
            hashes.setdefault((one.task, one.setup), set()).add(one.source.content_hash)
    named = [task for (task, _), content in hashes.items() if len(content) > 1]
    if not named:
        return ()
    return (
        f"Tokenizers were measured on different data in {listed(named)}; there, differences "
        "between them are not theirs alone.",
    )


def _values(many: Sequence[Mapping[str, Any]]) -> str:
    """All settings, those that differ with each value."""
    flat = [dict(_flat(one)) for one in many if one]
    names = dict.fromkeys(name for one in flat for name in one)
    phrases = []
    for name in names:
        each = list(dict.fromkeys(one.get(name, "not set") for one in flat))
        text = each[0] if len(each) == 1 else " or ".join(each[:_SHOWN_VALUES])
        if len(each) > _SHOWN_VALUES:
            text += f" or one of {len(each) - _SHOWN_VALUES} other values"
        phrases.append(f"{name} {text}")
    return ", ".join(phrases)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value)
            found.append((f"{prefix}{name}", shown))
    return found
