"""Does the command line encode without torch when it is told to?"""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="encoding without torch needs the extra 'onnx'")

from provq_protein.cli import main

_COMMAND = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch was asked for")
sys.meta_path.insert(0, Refuse())
from provq_protein.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def sample(repo_root: Path) -> str:
    return str(repo_root / "data" / "structures" / "1a8o.pdb")


def test_the_command_prints_the_same_lines_without_torch(sample, capsys) -> None:
    assert main(["encode", sample]) == 0
    expected = capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, "encode", sample, "--runtime", "onnx"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_the_command_writes_the_same_file(sample, tmp_path, capsys) -> None:
    for runtime in ("torch", "onnx"):
        output = str(tmp_path / f"{runtime}.jsonl")
        assert main(["encode", sample, "--runtime", runtime, "-o", output]) == 0
    first, second = (tmp_path / f"{runtime}.jsonl" for runtime in ("torch", "onnx"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "tokens/"], "folders are written with torch"),
        (["--precision", "fast"], "--precision fast is torch's"),
        (["--model", "nowhere"], "nowhere: no such model folder"),
    ],
)
def test_what_the_runtime_cannot_do_is_refused(
    options, message, sample, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["encode", sample, "--runtime", "onnx", *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert not captured.out
    assert not list(tmp_path.iterdir())


def test_a_missing_runtime_is_named_with_its_extra(sample, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["encode", sample, "--runtime", "onnx"]) == 2
    assert "provq[onnx]" in capsys.readouterr().err
