"""Which layouts of other projects' weights are read, and where may a converted model go?"""

import os
from pathlib import Path
from typing import Literal

from provq_protein.errors import ConfigError
from provq_protein.runs.documents import CONFIG

Layout = Literal["esm3", "structtokenbench"]
"""Files of ESM3's structure tokenizer; checkpoints of StructTokenBench and of ProVQ's author."""


def check_model_folder(folder: Path, *, overwrite: bool) -> None:
    """
    Refuse a model folder that could not, or should not, be written.

    Parameters
    ----------
    folder : Path
        Folder to write.
    overwrite : bool
        Whether a model folder may be replaced. A folder with anything else never is.

    Raises
    ------
    ConfigError
        If it exists and may not be replaced, or the folder around it is absent or read-only.
    """
    problem = None
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        problem = "is not a folder; name one"
    elif folder.exists() and not overwrite:
        problem = "exists; choose another name, or allow to overwrite it (--overwrite)"
    elif folder.exists() and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        problem = f"is not a model folder (no {CONFIG} in it), so it is not overwritten"
    elif not folder.parent.is_dir():
        problem = f"the folder {folder.parent} does not exist; create it first"
    elif not os.access(folder.parent, os.W_OK):
        problem = f"the folder {folder.parent} is not writable; choose another one"
    if problem:
        msg = f"{folder}: {problem}"
        raise ConfigError(msg)
