"""How does TensorBoard get the numbers of a run?"""

from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class TensorBoardLog:
    """
    Write the numbers of events as TensorBoard scalars.

    Parameters
    ----------
    folder : Path
        Where; created if absent.
    resume_step : int
        Scalars of this step and later are hidden: an interrupted run had written them.

    Raises
    ------
    ImportError
        If the package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: Path, *, resume_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=resume_step)

    def write(self, event: dict[str, Any]) -> None:
        """
        Add one event.

        Parameters
        ----------
        event : dict
            With ``step`` and ``kind``, which begins the names of the scalars; what is no number
            is left out.
        """
        for name, value in event.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
                self._writer.add_scalar(f"{event['kind']}/{name}", value, event["step"])

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
