"""Do readers survive a few thousand damaged files, made anew from what they should read?

`make fuzz` tries many more. The inputs here are always the same ones.
"""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

INPUTS = 1500
NEVER = 1e6
"""Inputs, not seconds, bound these runs: the limits are of time of a processor."""


@pytest.fixture
def fuzzing(monkeypatch) -> ModuleType:
    """Return the module that runs inputs in a process of their own."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("fuzzing")


@pytest.mark.slow
def test_no_damaged_file_breaks_a_reader(fuzzing, tmp_path: Path) -> None:
    targets = importlib.import_module("fuzz_targets").TARGETS
    numbers = fuzzing.shares(INPUTS, list(targets))
    inputs = {name: range(count) for name, count in numbers.items()}
    outcome = fuzzing.run(inputs, seed=2, seconds=NEVER)
    places = fuzzing.save_reproducers(outcome, tmp_path, seed=2)
    found = [f"{finding} {places.get(number)}" for number, finding in enumerate(outcome.findings)]
    assert not found, "\n".join(found)
    assert outcome.tried == numbers


def test_the_fuzzer_sees_what_it_looks_for(fuzzing) -> None:
    files = [fuzzing.files_of("fuzz_broken", "broken", 7, index) for index in range(16)]
    deeds = [held["deed"].decode() for held in files]
    assert set(deeds) == set(importlib.import_module("fuzz_broken").DEEDS)
    inputs = {"broken": range(16), "waiting": range(1)}
    outcome = fuzzing.run(inputs, seed=7, seconds=NEVER, module="fuzz_broken")
    first = {(found.target, found.kind): found.index for found in outcome.findings}
    assert first.pop(("waiting", "hang")) == 0
    bad = set(deeds) - {"nothing"}
    assert first == {("broken", deed): deeds.index(deed) for deed in bad}
    assert outcome.tried == {"broken": 16, "waiting": 1}
