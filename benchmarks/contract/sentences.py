"""Which sentences has the residue contract, and which tests are named after them?"""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHECKS = "test_contract_is_covered.py"
"""The module of `tests/contract` whose tests are about the documents, not sentences of them."""

_SENTENCE = re.compile(r"^(\d+)\. `([a-z0-9-]+)`: (.+)$", re.MULTILINE)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Sentence:
    """
    One sentence of the contract.

    Parameters
    ----------
    number : int
        As the document counts.
    name : str
        Its id.
    group : str
        The heading that it is under.
    """

    number: int
    name: str
    group: str

    @property
    def test(self) -> str:
        """
        Return the name of its test.

        Returns
        -------
        str
            Of a function.
        """
        return f"test_{self.name.replace('-', '_')}"


def sentences(document: Path) -> list[Sentence]:
    """
    Return the sentences of the contract.

    Parameters
    ----------
    document : Path
        The Markdown file.

    Returns
    -------
    list of Sentence
        In the order of the document.
    """
    found = []
    parts = _HEADING.split(document.read_text(encoding="utf-8"))
    for group, text in zip(parts[1::2], parts[2::2], strict=True):
        found += [Sentence(int(number), name, group) for number, name, _ in _SENTENCE.findall(text)]
    return found


def tests_of(folder: Path) -> list[str]:
    """
    Return the tests of a folder, save those of `CHECKS`.

    Parameters
    ----------
    folder : Path
        Of test modules.

    Returns
    -------
    list of str
        Names of functions, as often as they occur.
    """
    return [
        node.name
        for path in sorted(folder.glob("test_*.py"))
        if path.name != CHECKS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def shortcomings(document: Path, folder: Path) -> list[str]:
    """
    Return what does not fit between the sentences and their tests.

    Parameters
    ----------
    document : Path
        The Markdown file.
    folder : Path
        Of test modules.

    Returns
    -------
    list of str
        One line each; empty if every sentence has exactly one test, and every test a sentence.
    """
    found = sentences(document)
    tests, names = Counter(tests_of(folder)), Counter(one.test for one in found)
    lines = [f"sentence {one.name} has no test {one.test}" for one in found if not tests[one.test]]
    lines += [f"{name} is there {count} times" for name, count in tests.items() if count > 1]
    lines += [f"{name} has no sentence" for name in tests if not names[name]]
    shared = {name: count for name, count in names.items() if count > 1}
    lines += [f"{name} is the test of {count} sentences" for name, count in shared.items()]
    numbers = [one.number for one in found]
    if numbers != list(range(1, len(found) + 1)):
        lines.append("the sentences are not numbered from 1 without gaps")
    return lines or ([] if found else ["there are no sentences"])
