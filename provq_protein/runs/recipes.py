"""Which recipes does a package ship, and what does one say?"""

from importlib import resources
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError
from provq_protein.runs.config import read_toml

_FOLDER = "recipes"


def shipped_recipes(package: str) -> list[str]:
    """
    Return the names of the recipes in a package.

    Parameters
    ----------
    package : str
        Importable name, with a folder ``recipes``.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> "smoke" in shipped_recipes("provq_protein")
    True
    """
    folder = resources.files(package) / _FOLDER
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def recipe_values(package: str, recipe: str) -> dict[str, Any]:
    """
    Read a recipe by name or path.

    Parameters
    ----------
    package : str
        Whose recipes are known by name.
    recipe : str
        A shipped recipe's name, or the path of a TOML file.

    Returns
    -------
    dict
        Its tables.

    Raises
    ------
    ConfigError
        If there is no such recipe or it is not TOML.
    """
    if recipe.endswith(".toml"):
        return read_toml(Path(recipe))
    names = shipped_recipes(package)
    if recipe not in names:
        known = ", ".join(names)
        msg = f"{recipe}: no such recipe; shipped are {known}; or give the path of a .toml file"
        raise ConfigError(msg)
    with resources.as_file(resources.files(package) / _FOLDER / f"{recipe}.toml") as path:
        return read_toml(path)
