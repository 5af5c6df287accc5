"""Which packages and extras does this installation have?"""

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from provq_protein import __version__

_DISTRIBUTION = "provq"
# Tools of contributors, without which nothing is missing.
_FOR_CONTRIBUTORS = ("dev", "docs", "parity")
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*(?:>=\s*(?P<least>[\d.]+))?")
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[\w.-]+)["']""")


@dataclass(frozen=True)
class Check:
    """
    What one check of an installation has found.

    Parameters
    ----------
    name : str
        What was looked at, in a few words.
    status : {"ok", "note", "failed"}
        ``"note"`` where something is absent or unknown that nobody has to have.
    found : str
        One line.
    remedy : str
        What to do about it, as one line; never empty for a failed check.
    """

    name: str
    status: Literal["ok", "note", "failed"]
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class _Requirement:
    """A package that the distribution asks for: its name, least version (or none) and extra."""

    name: str
    least: str
    extra: str

    def __str__(self) -> str:
        return f"{self.name}>={self.least}" if self.least else self.name


def check_installation() -> Iterator[Check]:
    """
    Compare what is installed with what the distribution asks for.

    Yields
    ------
    Check
        The distribution itself; each package that it needs; each extra.

    Notes
    -----
    Nothing is imported: whether a package works is another question.
    """
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    try:
        requirements = _requirements()
    except metadata.PackageNotFoundError:
        yield Check(
            "provq",
            "failed",
            f"{__version__}, {system}: not installed, only on Python's path",
            "install it (pip install provq, or pip install . in a checkout), so that what it "
            "needs is installed as well",
        )
        return
    yield Check("provq", "ok", f"{__version__}, {system}")
    for one in requirements:
        if not one.extra:
            yield _package(one)
    for extra in dict.fromkeys(one.extra for one in requirements):
        if extra and extra not in _FOR_CONTRIBUTORS:
            yield _extra(extra, [one for one in requirements if one.extra == extra])


def _requirements() -> list[_Requirement]:
    found = []
    for line in metadata.requires(_DISTRIBUTION) or []:
        package, _, marker = line.partition(";")
        parsed = _REQUIREMENT.match(package.strip())
        extra = _EXTRA.search(marker)
        if parsed is not None:
            least = parsed["least"] or ""
            found.append(_Requirement(parsed["name"], least, extra["extra"] if extra else ""))
    return sorted(found, key=lambda one: (one.extra, one.name))


def _package(one: _Requirement) -> Check:
    version = _version(one.name)
    if version is None:
        return Check(one.name, "failed", "not installed", f"pip install '{one}'")
    if _older(version, one.least):
        found = f"{version} is older than {one.least}"
        return Check(one.name, "failed", found, f"pip install --upgrade '{one}'")
    return Check(one.name, "ok", version)


def _extra(extra: str, packages: list[_Requirement]) -> Check:
    name, remedy = f"extra {extra}", f"pip install --upgrade '{_DISTRIBUTION}[{extra}]'"
    versions = {str(one): _version(one.name) for one in packages}
    absent = [text for text, version in versions.items() if version is None]
    old = [
        f"{one.name} {version} is older than {one.least}"
        for one, version in zip(packages, versions.values(), strict=True)
        if version is not None and _older(version, one.least)
    ]
    if old:
        return Check(name, "failed", ", ".join(old), remedy)
    if absent:
        return Check(name, "note", f"not installed: {', '.join(absent)}", remedy)
    shown = (f"{one.name} {versions[str(one)]}" for one in packages)
    return Check(name, "ok", ", ".join(shown))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _older(version: str, least: str) -> bool:
    """Compare the numbers of two releases; what follows them (``rc1``, ``+cpu``) is left out."""
    have, want = _numbers(version), _numbers(least)
    length = max(len(have), len(want))
    return have + [0] * (length - len(have)) < want + [0] * (length - len(want))


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in release[0].split(".")] if release else []
