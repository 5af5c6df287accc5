"""Where optional packages are imported, and what a user is told when one is absent."""

import importlib
from types import ModuleType

from provq_protein.errors import MissingExtraError


def require_extra(module: str, *, extra: str, purpose: str) -> ModuleType:
    """
    Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module : str
        Importable name, for instance ``"h5py"``.
    extra : str
        The extra of this distribution that lists the package.
    purpose : str
        What the user asked for, in a few words, for the error message.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingExtraError
        If the package is not installed.

    Examples
    --------
    >>> require_extra("json", extra="h5", purpose="an example").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = (
            f"{purpose} needs the package {module!r}, which is not installed; "
            f"install it with: pip install 'provq[{extra}]'"
        )
        raise MissingExtraError(msg) from error
