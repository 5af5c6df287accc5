"""The metrics log: lines survive a kill, and steps that are done again are written once."""

import json

from provq_protein.runs.log import MetricsLog


def _steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_events_are_json_lines(tmp_path):
    log = MetricsLog(tmp_path / "run" / "metrics.jsonl")
    log.write(step=0, loss=1.5)
    log.write(step=1, loss=None)
    assert _steps(log.path) == [0, 1]


def test_resuming_drops_later_steps_and_a_broken_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for step in range(5):
        log.write(step=step)
    with path.open("a") as handle:
        handle.write('{"step": 5, "lo')
    MetricsLog(path, resume_step=3).write(step=3)
    assert _steps(path) == [0, 1, 2, 3]
