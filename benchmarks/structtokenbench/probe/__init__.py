"""How much of each task can a small network read from a tokenizer's codes?"""

from structtokenbench.probe.inputs import ProbeItem, TaskLike, make_item
from structtokenbench.probe.result import ProbeResult, SplitScore
from structtokenbench.probe.run import run_probe
from structtokenbench.probe.settings import ProbeSettings

__all__ = [
    "ProbeItem",
    "ProbeResult",
    "ProbeSettings",
    "SplitScore",
    "TaskLike",
    "make_item",
    "run_probe",
]
