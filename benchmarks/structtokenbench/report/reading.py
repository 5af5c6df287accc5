"""Which results belong to which tokenizer, and which are left out?"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from structtokenbench.report import lines
from structtokenbench.report.readings import (
    UNPLACED,
    CodebookReading,
    ProbeReading,
    Readings,
    SensitivityReading,
    Source,
    Tokenizer,
)
from structtokenbench.report.values import mapping, number, times

_Identity = tuple[str, str]
_Reading = TypeVar("_Reading", ProbeReading, CodebookReading, SensitivityReading)
_Kept = dict[tuple[object, ...], Any]

_READERS: Mapping[str, Callable[[Mapping[str, Any], Source], Any]] = {
    "probe": lines.probe_of,
    "codebook": lines.codebook_of,
    "sensitivity": lines.sensitivity_of,
}


def read(results: Sequence[Mapping[str, Any]]) -> Readings:
    """
    Read the lines of a results file.

    Parameters
    ----------
    results : sequence of mapping
        JSON objects. One that cannot be read, or is of unknown kind, is left out and noted; of
        two that measure the same, the later counts.

    Returns
    -------
    Readings
        Content and notes.
    """
    tokenizers = _tokenizers(results)
    kept: dict[str, _Kept] = {kind: {} for kind in _READERS}
    notes: list[str] = []
    unknown: Counter[str] = Counter()
    for line in results:
        kind = str(line.get("kind"))
        if kind not in _READERS:
            unknown[kind] += 1
            continue
        try:
            reading = _READERS[kind](line, _source(line, tokenizers))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            what = line.get("task") or line.get("set")
            notes.append(
                f"Result {line.get('key')} ({kind}, {what}, {_identity(line)[0]}) is not shown: "
                f"{error}."
            )
            continue
        _keep(kept[kind], _place(reading), reading, notes)
    notes += [
        f"{times(count, 'result')} of the unknown kind {kind} not shown."
        for kind, count in unknown.items()
    ]
    shown = sorted(tokenizers.values(), key=lambda one: (one.control, bool(one.base)))
    return Readings(
        tokenizers=tuple(shown),
        probes=tuple(kept["probe"].values()),
        codebooks=tuple(kept["codebook"].values()),
        sensitivities=tuple(kept["sensitivity"].values()),
        notes=tuple(notes),
    )


def sources(found: Readings) -> tuple[Source, ...]:
    """
    Return the common part of all results.

    Parameters
    ----------
    found : Readings
        The results.

    Returns
    -------
    tuple of Source
        Probes first.
    """
    every = (*found.probes, *found.codebooks, *found.sensitivities)
    return tuple(one.source for one in every)


def set_names(found: Iterable[CodebookReading | SensitivityReading]) -> tuple[str, ...]:
    """
    Return the sets that were measured.

    Parameters
    ----------
    found : iterable
        Readings.

    Returns
    -------
    tuple of str
        Each once, in the order of the results.
    """
    return tuple(dict.fromkeys(one.set_name for one in found))


def by_tokenizer(found: Iterable[_Reading], set_name: str) -> dict[str, _Reading]:
    """
    Return the results of one set.

    Parameters
    ----------
    found : iterable
        Readings.
    set_name : str
        The set.

    Returns
    -------
    dict
        By the label of the tokenizer.
    """
    return {
        one.source.tokenizer.label: one
        for one in found
        if not isinstance(one, ProbeReading) and one.set_name == set_name
    }


def _identity(line: Mapping[str, Any]) -> _Identity:
    tokenizer = mapping(line.get("tokenizer"))
    # With one row all residues share it: another probe, which must not be taken for the usual one.
    unplaced = UNPLACED if mapping(line.get("settings")).get("positions") == 1 else ""
    return f"{tokenizer.get('name')}{unplaced}", str(tokenizer.get("fingerprint"))


def _tokenizers(results: Sequence[Mapping[str, Any]]) -> dict[_Identity, Tokenizer]:
    """Name each tokenizer, with its fingerprint where two have the same name."""
    identities = dict.fromkeys(_identity(line) for line in results if line.get("kind") in _READERS)
    names = Counter(name for name, _ in identities)
    found = {}
    for line in results:
        identity = _identity(line)
        if identity not in identities or identity in found:
            continue
        name, fingerprint = identity
        tokenizer = mapping(line.get("tokenizer"))
        found[identity] = Tokenizer(
            label=name if names[name] == 1 else f"{name} ({fingerprint[:8]})",
            name=name,
            fingerprint=fingerprint,
            codes=_size(tokenizer.get("codes")),
            dim=_size(tokenizer.get("dim")),
        )
    return found


def _size(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _source(line: Mapping[str, Any], tokenizers: Mapping[_Identity, Tokenizer]) -> Source:
    data = mapping(line.get("data"))
    return Source(
        key=str(line.get("key")),
        tokenizer=tokenizers[_identity(line)],
        origin=str(data.get("origin") or ""),
        content_hash=str(data.get("content_hash") or ""),
        seconds=number(line.get("seconds")),
        settings=mapping(line.get("settings")),
        versions=mapping(line.get("versions")),
    )


def _place(reading: ProbeReading | CodebookReading | SensitivityReading) -> tuple[object, ...]:
    """What two results share that measure the same."""
    label = reading.source.tokenizer.label
    if isinstance(reading, ProbeReading):
        return label, reading.task, reading.setup
    return label, reading.set_name


def _keep(kept: _Kept, place: tuple[object, ...], reading: Any, notes: list[str]) -> None:  # noqa: ANN401
    earlier = kept.get(place)
    if earlier is not None and not getattr(earlier, "failed", ""):
        what = getattr(reading, "task", "") or getattr(reading, "set_name", "")
        notes.append(
            f"{what} was measured more than once with {reading.source.tokenizer.label}, under "
            f"different settings or data; result {reading.source.key} is shown and "
            f"{earlier.source.key} is not."
        )
    kept[place] = reading
