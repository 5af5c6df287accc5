"""On what was a benchmark measured?"""

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def machine() -> str:
    """
    Return what the numbers were measured on.

    Returns
    -------
    str
        Processor and its number of cores.
    """
    names = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        names = models[0] if models else names
    return f"{names}, {os.cpu_count()} cores, one thread"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """
    Return the versions of what was compared.

    Parameters
    ----------
    packages : iterable of str
        Names of distributions.

    Returns
    -------
    dict of str to str
        Of Python, and of the packages that are installed.
    """
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
