"""Where does the 3D viewer of a page come from, and is it the one that we know?"""

import hashlib
from dataclasses import dataclass
from importlib import resources

from provq_protein.errors import ConfigError
from provq_protein.extras import require_extra

PACKAGE, VERSION = "molstar_cli", "5.11.0"

# SHA-256 of license and of `build/viewer/` in the npm package molstar 5.11.0, the release of the
# Mol* developers.
# The PyPI package is somebody else's: its copy goes into pages that users open and pass on, so
# that a changed one is refused, whoever changed it.
KNOWN = {
    "molstar.js": "7fad5561c74bc900930fb57d6ab028d1aafdda82223a901bf932b1098e84f1f3",
    "LICENSE.molstar": "eabd1831ed605a29cf9d7e60221c019c1bc026add81e3c0686ce5f24b3d4d500",
    "molstar.css": "5b68ceb6d3642549b4e9b2c071e58e41b98a5350ae269180587b39da86925d55",
}


@dataclass(frozen=True)
class ViewerFiles:
    """
    The program and the style sheet of Mol*.

    Parameters
    ----------
    script : str
        JavaScript behind its license, which asks to be in every copy; defines ``molstar``.
    style : str
        CSS.
    """

    script: str
    style: str


def viewer_files() -> ViewerFiles:
    """
    Read Mol* from its installed package, and check that it is the known release.

    Returns
    -------
    ViewerFiles
        What a page embeds.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    ConfigError
        If a file is absent, or is not that of the release.
    """
    require_extra("molstar_cli", extra="report", purpose="the 3D viewer of a report")
    folder = resources.files(PACKAGE) / "static" / "molstar"
    found = {}
    for name, digest in KNOWN.items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise ConfigError(_refusal(name, "cannot be read")) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise ConfigError(_refusal(name, f"is not that of Mol* {VERSION} (SHA-256 differs)"))
        found[name] = content.decode("utf-8")
    script = f"/*! Mol* {VERSION}\n\n{found['LICENSE.molstar']}\n*/\n{found['molstar.js']}"
    return ViewerFiles(script=script, style=found["molstar.css"])


def _refusal(name: str, problem: str) -> str:
    return (
        f"{PACKAGE}: {name} {problem}; install it again with: pip install --force-reinstall "
        "'provq[report]', or leave the viewer out (--no-viewer)"
    )
