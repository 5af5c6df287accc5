"""What does a user see who feeds hostile or damaged files to the commands?

    python tests/hostile/show_messages.py

Runs each command on inputs made for the purpose, in a temporary folder, and prints its messages and
exit codes. Exit code 1 if a command let one of them through, crashed, or left a file elsewhere.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hostile_inputs import MODELS, SAMPLE, STRUCTURES, TOKENS, proof_of

from provq_protein.cli import main as command

CRASHES = ("Traceback", "unexpected ")


def ask(arguments: list[str]) -> tuple[int, str]:
    """
    Run a command in this process.

    Parameters
    ----------
    arguments : list of str
        What follows ``provq-protein``.

    Returns
    -------
    code : int
        Its exit code.
    said : str
        What it wrote to standard error.
    """
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = command(arguments)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    return int(code or 0), said.getvalue()


def main() -> int:
    """Show all messages."""
    bad = 0
    kinds: list[tuple[dict[str, Callable[[Path], Path]], Callable[[Path, Path], list[str]]]] = [
        (STRUCTURES, lambda path, out: ["encode", str(path), "-o", str(out)]),
        (MODELS, lambda path, out: ["encode", str(SAMPLE), "--model", str(path), "-o", str(out)]),
        (TOKENS, lambda path, out: ["decode", str(path), "-o", str(out)]),
    ]
    for inputs, arguments in kinds:
        for name, make in inputs.items():
            with tempfile.TemporaryDirectory(prefix="provq-hostile-") as folder:
                place = Path(folder)
                path = make(place)
                code, said = ask(arguments(path, place / "result.npz"))
                wrong = code == 0 or any(word in said for word in CRASHES)
                wrong |= proof_of(place).exists()
                bad += wrong
                verdict = "LET THROUGH" if wrong else "refused"
                print(f"{name}: {verdict}, exit code {code}")
                print(
                    "    " + said.strip().replace(f"{folder}/", "").replace("\n", "\n    ") + "\n"
                )
    print("every input was refused" if not bad else f"{bad} inputs were not refused")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
