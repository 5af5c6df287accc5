"""How is zstandard data read as a stream (needs the extra ``archives``)?"""

import sys
from typing import IO

from provq_protein.structure.unpacking import zstandard_module

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""First bytes of zstandard data."""


def open_zstd(file: IO[bytes]) -> IO[bytes]:
    """
    Return a reader of what zstandard data expands to.

    Parameters
    ----------
    file : file object
        The compressed data, frame after frame. It stays open.

    Returns
    -------
    file object
        Raises one of `zstd_errors` where the data is damaged. Where it ends early, the reader
        ends as well, or raises EOFError.

    Raises
    ------
    MissingExtraError
        If the package ``zstandard`` is not installed.
    """
    module = zstandard_module(purpose="reading an archive compressed with zstandard")
    if hasattr(module, "ZstdFile"):  # of the standard library
        return module.ZstdFile(file)
    decompressor = module.ZstdDecompressor()
    return decompressor.stream_reader(file, read_across_frames=True, closefd=False)


def zstd_errors() -> tuple[type[Exception], ...]:
    """
    Return what reading damaged zstandard data raises.

    Returns
    -------
    tuple of type
        Empty as long as no package for it has been used.
    """
    used = (sys.modules.get(name) for name in ("zstandard", "compression.zstd"))
    return tuple(module.ZstdError for module in used if module is not None)
