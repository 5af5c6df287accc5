"""Which library multiplies matrices in single precision on a CPU, and may it be changed?"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Sizes of the product that is checked: rows, summed dimension, columns.
_PROBE = (64, 1024, 256)
# An error beyond this many times that of the default route is not rounding of float32 any more;
# bfloat16 errs a thousand times as much.
_WORST_ERROR_RATIO = 4.0

_lock = threading.Lock()
_inside = 0
_outside_setting = "none"


@contextmanager
def fast_exact_products(device: torch.device) -> Iterator[None]:
    """
    Let oneDNN multiply float32 matrices as long as the context lasts, where that is exact.

    Parameters
    ----------
    device : torch.device
        Where the products run; anything but a CPU is left alone.

    Yields
    ------
    None
        The setting of the process comes back afterwards.

    Notes
    -----
    The CPU builds of PyTorch multiply with MKL, which on processors of other makers than its own
    reaches a third to a half of what oneDNN, in the same build, does. The only switch is
    ``torch.backends.mkldnn.matmul.fp32_precision = "bf16"``: where there are no matrix units for
    bfloat16 it routes to oneDNN and nothing is rounded, where there are it *does* round. So it is
    thrown only after products on this very machine have shown float32 errors. What decides is
    numbers, not a clock: the same machine takes the same route every time.

    The setting belongs to the process. Contexts that overlap in several threads share it, and the
    last one to leave puts it back.
    """
    global _inside, _outside_setting
    if device.type != "cpu" or not onednn_is_exact():
        yield
        return
    setting = _setting()
    with _lock:
        if not _inside:
            _outside_setting = setting.fp32_precision
            setting.fp32_precision = "bf16"
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                setting.fp32_precision = _outside_setting


@cache
def onednn_is_exact() -> bool:
    """
    Tell whether the oneDNN route exists here and keeps single precision.

    Returns
    -------
    bool
        False also where the processor is known not to gain: without AVX-512 the switch does
        nothing.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    setting = _setting()
    if not hasattr(setting, "fp32_precision"):
        return False
    before = setting.fp32_precision
    expected = route_error()
    try:
        setting.fp32_precision = "bf16"
        found = route_error()
    finally:
        setting.fp32_precision = before
    return found <= _WORST_ERROR_RATIO * expected


def _setting() -> Any:  # noqa: ANN401
    """Return torch's switch, which its annotations do not know; None in versions without."""
    return getattr(torch.backends.mkldnn, "matmul", None)


def route_error() -> float:
    """
    Measure the error of a float32 product on the present route, against float64.

    Returns
    -------
    float
        The largest error, in units of the root mean square of the exact result.
    """
    generator = torch.Generator().manual_seed(0)
    rows, inner, columns = _PROBE

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        left, right = draw(rows, inner), draw(columns, inner)
        exact = functional.linear(left.double(), right.double())
        error = (functional.linear(left, right) - exact).abs().max()
        return float(error / exact.square().mean().sqrt())
