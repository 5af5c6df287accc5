"""Does this machine compute with a model what other machines do?"""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TypeVar

import torch

from provq_protein.errors import CheckpointError, ProvqError
from provq_protein.evaluation.golden_chain import (
    Golden,
    expected_golden,
    golden_ids,
    golden_rmsd,
)
from provq_protein.evaluation.installation import Check
from provq_protein.hub.folders import model_folder
from provq_protein.model.fast_ids import obstacle
from provq_protein.model.matmul_route import onednn_is_exact, route_error
from provq_protein.precision import not_used
from provq_protein.runs.documents import WEIGHTS
from provq_protein.runs.files import sha256_of
from provq_protein.tokenizer import StructureTokenizer

# A product of float32 matrices errs by 1e-6 of its result, one in TF32 or bfloat16 by 1e-3.
_LARGEST_ERROR = 1e-5
# Angstrom. Rounding moves the RMSD of one chain by less; another decoder by more.
_RMSD_TOLERANCE = 0.01
_REINSTALL = "install provq again: pip install --force-reinstall --no-deps provq"
_COPY_AGAIN = "save or copy the model folder again, whole"
_REPORT = (
    "unset variables that change the arithmetic of torch (ONEDNN_*, MKL_*) and try again; if it "
    "stays, report it with this output, and do not mix such ids with those of other machines"
)

_Result = TypeVar("_Result")


def check_computation(model: str | None) -> Iterator[Check]:
    """
    Check processors, arithmetic, the model, and what it makes of the golden chain.

    Parameters
    ----------
    model : str or None
        A model folder or repository of the Hub; None for the shipped model.

    Yields
    ------
    Check
        One after another, as they are done. No error is raised: it is a failed check.

    Notes
    -----
    Ids are compared for the shipped model and for copies of it. Other models are loaded, run and
    described, and compared with nothing.
    """
    yield _guarded("processors", _processors, "install torch again")
    yield _guarded("float32 products", _products, "install torch again")
    expected = _guarded("golden chain", expected_golden, _REINSTALL)
    if isinstance(expected, Check):
        yield expected
        return
    remedy = _REINSTALL if model is None else _COPY_AGAIN
    subject = _guarded("model", lambda: _Subject(model, expected), remedy)
    if isinstance(subject, Check):
        yield subject
        return
    yield _guarded("model", subject.describe, remedy)
    yield _guarded("runtime", subject.runtime, _REPORT)
    yield _guarded("weights", subject.weights, remedy)
    yield _guarded("ids with torch", subject.torch_ids, _REPORT)
    yield _guarded("ids with onnx", subject.onnx_ids, _REPORT)
    yield _guarded("round trip", subject.round_trip, _REPORT)


def _guarded(name: str, action: Callable[[], _Result], remedy: str) -> _Result | Check:
    """Return what an action returns or, if it raises, a failed check."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever is broken, it is a finding
        kind = "" if isinstance(error, ProvqError | OSError) else f"{type(error).__name__}: "
        return Check(name, "failed", " ".join(f"{kind}{error}".split()), remedy)


def _processors() -> Check:
    devices = [f"{os.cpu_count()} processors ({torch.backends.cpu.get_cpu_capability()})"]
    for number in range(torch.cuda.device_count()):
        devices.append(f"cuda:{number} ({torch.cuda.get_device_name(number)})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    found = f"{', '.join(devices)}; threads of torch: {torch.get_num_threads()}"
    return Check("processors", "ok", found)


def _products() -> Check:
    error = route_error()
    route = "oneDNN" if onednn_is_exact() else "torch's default"
    found = f"largest error {error:.1e}; large encoders multiply with {route}"
    # The comparison is false for a NaN as well.
    if error <= _LARGEST_ERROR:
        return Check("float32 products", "ok", found)
    return Check(
        "float32 products",
        "failed",
        f"largest error {error:.1e}, expected at most {_LARGEST_ERROR:.0e}: torch rounds more "
        "than single precision does, and ids will differ from those of other machines",
        "unset ONEDNN_DEFAULT_FPMATH_MODE and whatever else lowers torch's precision",
    )


class _Subject:
    """The model that is examined, beside what is expected of the shipped one."""

    def __init__(self, model: str | None, expected: Golden) -> None:
        self.model, self.expected = model, expected
        self.folder = model_folder(model)
        self.tokenizer = StructureTokenizer.from_pretrained(self.folder)

    def describe(self) -> Check:
        tokenizer = self.tokenizer
        what = f"fingerprint {tokenizer.fingerprint}, {tokenizer.codebook_size:,} codes"
        if self.model is None and not self._known:
            return Check("model", "failed", f"{what}: not that of this release", _REINSTALL)
        return Check("model", "ok", f"{self.folder}: {what}")

    def runtime(self) -> Check:
        found = "torch on the CPU, in precision exact unless asked otherwise"
        reason = obstacle(self.tokenizer.model)
        return Check("runtime", "ok", f"{found}; {not_used(reason)}" if reason else found)

    def weights(self) -> Check:
        found = sha256_of(self.folder / WEIGHTS)
        if self.model is None and found != self.expected.weights_sha256:
            text = f"SHA-256 is {found}, expected {self.expected.weights_sha256}"
            return Check("weights", "failed", text, _REINSTALL)
        return Check("weights", "ok", f"SHA-256 {found}")

    def torch_ids(self) -> Check:
        return self._compared("ids with torch", golden_ids(self.tokenizer))

    def onnx_ids(self) -> Check:
        name = "ids with onnx"
        if find_spec("onnxruntime") is None:
            remedy = "only for `encode --runtime onnx`: pip install 'provq[onnx]'"
            return Check(name, "note", "ONNX Runtime is not installed", remedy)
        from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer

        try:
            tokenizer = OnnxStructureTokenizer.from_pretrained(self.folder)
        except CheckpointError as error:
            if self.model is None:
                raise
            # Torch has loaded this folder: its model is one that only torch can run.
            return Check(name, "note", str(error))
        return self._compared(name, golden_ids(tokenizer))

    def round_trip(self) -> Check:
        found = golden_rmsd(self.tokenizer)
        text = f"RMSD of the golden chain {found:.3f} Å"
        if sha256_of(self.folder / WEIGHTS) != self.expected.weights_sha256:
            return Check("round trip", "note", f"{text}; none is expected of this model")
        # The comparison is false for a NaN as well.
        if abs(found - self.expected.rmsd) <= _RMSD_TOLERANCE:
            return Check("round trip", "ok", f"{text}, expected {self.expected.rmsd:.3f} Å")
        text = f"{text}, expected {self.expected.rmsd:.3f} Å"
        return Check("round trip", "failed", text, _REPORT)

    def _compared(self, name: str, ids: tuple[int, ...]) -> Check:
        if not self._known:
            return Check(name, "note", f"{len(ids)} computed; none are expected of this model")
        wrong = sum(one != other for one, other in zip(ids, self.expected.ids, strict=True))
        if wrong:
            text = f"{wrong} of {len(ids)} of the golden chain differ from the expected ones"
            return Check(name, "failed", text, _REPORT)
        return Check(name, "ok", f"all {len(ids)} of the golden chain as expected")

    @property
    def _known(self) -> bool:
        return self.tokenizer.fingerprint == self.expected.fingerprint
