"""On which unlabelled chains are codebooks compared?"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provq_protein.errors import ConfigError, ProvqError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from structtokenbench.errors import SourceError
from structtokenbench.items import Problem
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.tokenizers.protocol import chain_content_hash

CODEBOOK_SETS = ("casp14", "cameo2022")
"""Names of the sets of the published analysis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainSet:
    """
    Chains without labels.

    Parameters
    ----------
    name : str
        For instance ``"casp14"``.
    chains : mapping of str to Backbone
        In the order of the source.
    origin : str
        Where they came from, in a few words.
    problems : tuple of Problem
        What is listed and could not be read.
    """

    name: str
    chains: Mapping[str, Backbone]
    origin: str
    problems: tuple[Problem, ...] = ()

    @property
    def content_hash(self) -> str:
        """SHA-256 of the chains in their order, 16 hex digits."""
        digest = hashlib.sha256()
        for chain in self.chains.values():
            digest.update(chain_content_hash(chain).encode())
        return digest.hexdigest()[:16]


def chains_from_arrays(folder: Path, name: str, archive: ChainArchive) -> ChainSet:
    """
    Read a list of records from ``sets.json``.

    Parameters
    ----------
    folder : Path
        Holds the file.
    name : str
        Of the list.
    archive : ChainArchive
        The chains.

    Returns
    -------
    ChainSet
        All chains that can be built.

    Raises
    ------
    SourceError
        If the file is no JSON or has no such list of records.
    """
    path = folder / "sets.json"
    try:
        records = json.loads(path.read_text())[name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: has no list {name!r} ({error})"
        raise SourceError(msg) from error
    if not (isinstance(records, list) and all(isinstance(one, int) for one in records)):
        msg = f"{path}: {name} must be a list of records, got {str(records)[:40]}"
        raise SourceError(msg)
    chains, problems = {}, []
    for record in records:
        try:
            chains[archive.name(record)] = archive.backbone(record)
        except (ProvqError, IndexError) as error:
            problems.append(Problem(id=f"record {record}", reason=str(error)))
    return ChainSet(
        name=name,
        chains=chains,
        origin=f"list {name} of {path.name}; chains of {archive.description}",
        problems=tuple(problems),
    )


def chains_from_folder(name: str, folder: Path) -> ChainSet:
    """
    Read every chain of a folder of structure files.

    Parameters
    ----------
    name : str
        What to call the set.
    folder : Path
        The files, read in the order of their names.

    Returns
    -------
    ChainSet
        All chains; a file that cannot be read is a problem.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """
    if not folder.is_dir():
        msg = f"--chains {name}={folder}: no such folder"
        raise ConfigError(msg)
    chains: dict[str, Backbone] = {}
    problems = []
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        try:
            found: Sequence[Backbone] = read_backbones(path)
        except ProvqError as error:
            problems.append(Problem(id=path.name, reason=str(error)))
            continue
        chains.update({f"{path.name}:{chain.chain_id}": chain for chain in found})
    origin = f"{len(chains)} chains of structure files"
    return ChainSet(name=name, chains=chains, origin=origin, problems=tuple(problems))
