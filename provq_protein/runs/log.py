"""Where do the numbers of a run go?"""

import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """
    Append metrics as JSON lines, one per event.

    Parameters
    ----------
    path : Path
        The file; created if absent.
    resume_step : int
        Lines of this step and later are dropped: an interrupted run had written them after
        its last checkpoint and will write them again.
    """

    def __init__(self, path: Path, *, resume_step: int = 0) -> None:
        self.path = path
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    event = json.loads(line)
                except ValueError:  # a line cut off by a kill
                    continue
                if event.get("step", 0) < resume_step:
                    kept.append(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def write(self, **event: Any) -> None:  # noqa: ANN401  (any JSON value)
        """
        Append one event.

        Parameters
        ----------
        **event : JSON values
            The event; ``step`` is expected among them.
        """
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(event) + "\n")
