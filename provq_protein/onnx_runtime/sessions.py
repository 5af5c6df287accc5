"""How is a network run by ONNX Runtime?"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provq_protein.extras import require_extra

# Only errors are printed: warnings concern graphs that others wrote.
_ERRORS_ONLY = 3


class Network:
    """
    A network, ready to run on the CPU.

    Parameters
    ----------
    model : bytes
        Content of an ONNX file with one output.
    threads : int
        To compute with.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime is not installed.
    """

    def __init__(self, model: bytes, *, threads: int) -> None:
        runtime = require_extra("onnxruntime", extra="onnx", purpose="encoding without torch")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = runtime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """
        Run the network.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            One array per input.

        Returns
        -------
        ndarray, dtype=float32
            The output.
        """
        return self._session.run(None, dict(inputs))[0]


def default_threads() -> int:
    """
    Return how many threads a network gets if nobody says.

    Returns
    -------
    int
        ``OMP_NUM_THREADS`` where it is set, as for torch; else the processors of this process.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
