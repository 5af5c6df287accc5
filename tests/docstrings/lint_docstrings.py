"""Do the docstrings of all public objects follow numpydoc, and agree with the signatures?

Run by ``make docstrings``. `numpydoc lint` reads source text, where the fields of a dataclass are
no parameters and a property returns something it should document; this uses numpydoc's own rules on
the imported objects instead, with the settings of [tool.numpydoc_validation] in pyproject.toml.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import get_doc_object
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import Validator, validate

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("provq_protein", "provq_vision", "structtokenbench")
_PARAMETER_CHECKS = {"PR01", "PR02", "PR03"}


def module_names(package: str) -> Iterator[str]:
    """Yield the package and every module below it, but no ``__main__``: importing it runs it."""
    found = importlib.import_module(package)
    yield package
    for info in pkgutil.walk_packages(found.__path__, prefix=f"{package}."):
        if not info.name.endswith("__main__"):
            yield info.name


def public_objects(module: str) -> Iterator[tuple[str, Any]]:
    """Yield names and objects of a module: itself, its functions, classes and their methods."""
    loaded = importlib.import_module(module)
    yield module, loaded
    for name, thing in vars(loaded).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module:
            continue
        if inspect.isclass(thing):
            yield f"{module}.{name}", thing
            yield from _members(f"{module}.{name}", thing)
        elif inspect.isfunction(thing):
            yield f"{module}.{name}", thing


def _members(prefix: str, cls: type) -> Iterator[tuple[str, Any]]:
    fields = {field.name for field in dataclasses.fields(cls)} if _is_dataclass(cls) else set()
    for name, member in vars(cls).items():
        documented = inspect.isfunction(member) or isinstance(
            member, property | classmethod | staticmethod
        )
        if documented and not name.startswith("_") and name not in fields:
            yield f"{prefix}.{name}", member


def _is_dataclass(thing: object) -> bool:
    return inspect.isclass(thing) and dataclasses.is_dataclass(thing)


def _documents_its_fields(name: str, cls: type) -> bool:
    """Say whether a dataclass documents exactly its public fields, in order."""
    sections = get_doc_object(Validator._load_obj(name))
    public = [field.name for field in dataclasses.fields(cls) if not field.name.startswith("_")]
    return public in [
        [entry.name for entry in sections[section]] for section in ("Parameters", "Attributes")
    ]


def _has_no_signature_of_its_own(thing: Any) -> bool:
    """Say whether a class is never constructed by users, or takes whatever its base takes."""
    is_protocol = getattr(thing, "_is_protocol", False)
    return inspect.isclass(thing) and (is_protocol or issubclass(thing, BaseException))


def problems(name: str, thing: Any, config: dict[str, Any]) -> list[str]:
    """Return what numpydoc finds wrong with one object, by the checks that are switched on."""
    if inspect.ismodule(thing):
        # numpydoc looks for the `def` line of what it checks, and fails on a module without any.
        return [] if (thing.__doc__ or "").strip() else [f"{name}: GL08 no module docstring"]
    found = [(code, text) for code, text in validate(name)["errors"] if code in config["checks"]]
    documents_fields = _is_dataclass(thing) and _documents_its_fields(name, thing)
    if documents_fields or _has_no_signature_of_its_own(thing):
        found = [(code, text) for code, text in found if code not in _PARAMETER_CHECKS]
    return [f"{name}: {code} {text}" for code, text in found]


def main() -> int:
    config = parse_config(ROOT)
    count, found = 0, []
    for package in PACKAGES:
        for module in module_names(package):
            try:
                objects = list(public_objects(module))
            except ImportError as error:
                found.append(f"{module}: cannot be imported: {error}")
                continue
            for name, thing in objects:
                if config["exclude"] and re.search(config["exclude"], name):
                    continue
                count += 1
                found += problems(name, thing, config)
    print("\n".join([*found, f"numpydoc: {count} public objects, {len(found)} problems"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
