"""How does ``provq-protein roundtrip`` write originals and reconstructions to look at?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import StructureError

if TYPE_CHECKING:
    from provq_protein.structure.backbone import Backbone


class SuperposedFiles:
    """
    One mmCIF file per chain: the original is model 1, the reconstruction model 2.

    Parameters
    ----------
    folder : Path
        Where to write, made if absent.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    StructureError
        If `folder` is no folder, or cannot be made.
    """

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        from provq_protein.cli.naming import FileNames

        self.folder = folder
        self._overwrite = overwrite
        self._names = FileNames()
        if folder.exists() and not folder.is_dir():
            msg = f"{folder}: is not a folder; name one for the structure files with -o"
            raise StructureError(msg)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{folder}: cannot be made: {error.strerror or error}"
            raise StructureError(msg) from error

    def write(self, original: "Backbone", reconstructed: "Backbone") -> Path:
        """
        Write the file of one chain.

        Parameters
        ----------
        original : Backbone
            As it was read.
        reconstructed : Backbone
            The same residues, in any place.

        Returns
        -------
        Path
            The file, named after input and chain as ``decode`` names its files.

        Raises
        ------
        StructureError
            If it exists and may not be replaced, or cannot be written.
        """
        from provq_protein.cli.naming import plain_name
        from provq_protein.evaluation.superposed import superposed
        from provq_protein.structure.writing import write_models

        path = self.folder / self._names.of(original)
        if path.exists() and not self._overwrite:
            msg = f"{path}: exists; name another folder, or allow --overwrite"
            raise StructureError(msg)
        write_models(path, superposed(original, reconstructed))
        if path.stem != plain_name(original):
            print(f"{path}: {original.source}: chain {original.chain_id}", file=sys.stderr)
        return path
