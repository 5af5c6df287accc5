"""Which folder holds the model that somebody names: by a path, or by a repository of the Hub?"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.extras import require_extra
from provq_protein.runs.documents import (
    CARD,
    CONFIG,
    EXPECTED_SCORES,
    WEIGHTS,
    check_format,
    default_model,
    load_document,
)

# What the Hub accepts; nothing that begins like a path, and one slash.
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_NAME}/{_NAME}")
_FORBIDDEN = ("--", "..")
# Branches, tags, commits and "refs/pr/1"; it becomes part of a path in the cache.
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


@dataclass(frozen=True, slots=True)
class HubModel:
    """
    A model in a repository of the Hub.

    Parameters
    ----------
    repository : str
        ``USER/NAME``.
    revision : str or None
        Branch, tag or commit; None for the main branch.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def is_repository(name: str) -> bool:
    """
    Tell whether a name could be that of a repository.

    Parameters
    ----------
    name : str
        Without a revision.

    Returns
    -------
    bool
        True for two names of legal characters and one slash. A path can look like that as well.

    Examples
    --------
    >>> is_repository("someone/my-model"), is_repository("./my-model"), is_repository("my-model")
    (True, False, False)
    """
    legal = _REPOSITORY.fullmatch(name) and not any(sign in name for sign in _FORBIDDEN)
    return bool(legal) and not name.endswith(".git")


def model_name(model: str | os.PathLike[str] | None, revision: str | None = None) -> str:
    """
    Return what messages call a model: what its user called it.

    Parameters
    ----------
    model : str or path-like or None
        As `model_folder` takes it.
    revision : str, optional
        As `model_folder` takes it.

    Returns
    -------
    str
        ``"default"`` for the shipped model.
    """
    name = "default" if model is None else os.fspath(model)
    return name if revision is None else f"{name}@{revision}"


def model_folder(
    model: str | os.PathLike[str] | None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
) -> Path:
    """
    Return the folder of a model, fetched from the Hub if it has to be.

    Parameters
    ----------
    model : str or path-like or None
        A model folder, or the name of a repository of the Hub, ``USER/NAME`` or
        ``USER/NAME@REVISION``. A folder that exists goes first, and what is no text is always a
        path. None for the shipped model.
    revision : str, optional
        Branch, tag or commit of the repository; by default that behind the ``@``, or the main
        branch.
    cache_dir : str or path-like, optional
        Where repositories are kept; by default where ``huggingface_hub`` keeps them.
    local_files_only : bool
        Whether to take only what is there already.

    Returns
    -------
    Path
        A folder. That of a repository holds its ``config.json``, ``model.safetensors``, model card
        and expected scores, as far as it has them, and nothing else is ever fetched.

    Raises
    ------
    CheckpointError
        If there is no such folder and no such repository, or the Hub does not give it, or it
        holds no model of this package. The message says what to do.
    ConfigError
        If a revision of a folder is asked for, or no revision can be called so.
    MissingExtraError
        If a repository is meant and ``huggingface_hub`` is not installed.
    """
    if model is None:
        _refuse_revision("the shipped model", revision)
        return default_model()
    folder = Path(model)
    if folder.is_dir():
        _refuse_revision(os.fspath(model), revision)
        return folder
    wanted = None if folder.exists() else _repository(model, revision)
    if wanted is None:
        what = "is a file, no model folder" if folder.is_file() else "no such model folder"
        msg = (
            f"{model}: {what}; it should hold {WEIGHTS} and {CONFIG} (a repository of the Hub is "
            "named USER/NAME or USER/NAME@REVISION)"
        )
        raise CheckpointError(msg)
    return _Download(wanted, cache_dir, local_files_only=local_files_only).folder()


def _repository(model: str | os.PathLike[str], revision: str | None) -> HubModel | None:
    """Return which repository a name stands for, or None if it can only be a path."""
    if not isinstance(model, str):
        return None
    name, at, named = model.partition("@")
    if not is_repository(name):
        return None
    if at and Path(name).is_dir():
        _refuse_revision(name, named)
    if at and revision is not None:
        msg = f"{model}: name one revision, behind the @ or as revision={revision!r}"
        raise ConfigError(msg)
    wanted = named if at else revision
    if wanted is not None and (not _REVISION.fullmatch(wanted) or ".." in wanted):
        msg = f"{name}: no revision can be called {wanted!r}; name a branch, a tag or a commit"
        raise ConfigError(msg)
    return HubModel(name, wanted)


def _refuse_revision(folder: str, revision: str | None) -> None:
    if revision is not None:
        msg = f"{folder}: a folder has no revision {revision!r}; leave it out"
        raise ConfigError(msg)


class _Download:
    """One repository, and how to get the files of a model from it."""

    def __init__(
        self,
        wanted: HubModel,
        cache_dir: str | os.PathLike[str] | None,
        *,
        local_files_only: bool,
    ) -> None:
        self._wanted, self._offline = wanted, local_files_only
        self._cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self._hub = require_extra(
            "huggingface_hub",
            extra="hub",
            purpose=f"{wanted}: there is no such folder, and a repository of the Hub",
        )

    def folder(self) -> Path:
        # Asks for the list of files first, and unlike the function for one file it neither waits
        # nor talks where there is no network.
        folder = self._call(
            self._hub.snapshot_download,
            revision=self._wanted.revision,
            allow_patterns=[CONFIG, CARD, EXPECTED_SCORES],
        )
        if folder is None or not (folder / CONFIG).is_file():
            self._refuse_content(CONFIG)
        # Before gigabytes of some other model are fetched.
        check_format(Path(str(self._wanted)), load_document(folder / CONFIG))
        if not (folder / WEIGHTS).is_file():
            # The folder is named after the commit, so the files belong together.
            weights = self._call(self._hub.hf_hub_download, filename=WEIGHTS, revision=folder.name)
            if weights is None:
                self._refuse_content(WEIGHTS)
        return folder

    def _call(self, download: Callable[..., str], **what: object) -> Path | None:
        """Return where something lies now, or None if the repository does not have it."""
        utils = _utils()
        try:
            path = download(
                repo_id=self._wanted.repository,
                cache_dir=self._cache_dir,
                local_files_only=self._offline,
                **what,
            )
        except utils.LocalEntryNotFoundError as error:
            raise CheckpointError(self._unreachable(utils, error)) from error
        except utils.EntryNotFoundError:
            return None
        except Exception as error:
            raise CheckpointError(self._refused(utils, error)) from error
        return Path(path)

    def _refuse_content(self, name: str) -> NoReturn:
        msg = (
            f"{self._wanted}: the repository holds no {name}, so it is no model of provq; name "
            "another one, or a model folder"
        )
        raise CheckpointError(msg)

    def _unreachable(self, utils: ModuleType, error: Exception) -> str:
        wanted = self._wanted
        if self._offline:
            why = "only local files are to be used"
        elif isinstance(error.__cause__, utils.OfflineModeIsEnabled):
            why = "HF_HUB_OFFLINE is set"
        else:
            why = f"the Hub cannot be reached ({first_line(error.__cause__ or error)})"
        of_revision = "" if wanted.revision is None else f" --revision {wanted.revision}"
        return (
            f"{wanted}: there is no such folder, the cache of the Hub does not hold it, and {why}; "
            "check the path if a folder is meant, otherwise fetch the repository where there is "
            f"a network (hf download {wanted.repository}{of_revision} --local-dir FOLDER), copy "
            "FOLDER here and name FOLDER as the model"
        )

    def _refused(self, utils: ModuleType, error: Exception) -> str:
        wanted = self._wanted
        if isinstance(error, utils.GatedRepoError):
            return (
                f"{wanted}: the Hub gives it only to those whom its owner permits; ask for access "
                "on its page, log in (hf auth login) and try again"
            )
        if isinstance(error, utils.RepositoryNotFoundError):
            return (
                f"{wanted}: there is no such folder, and no such repository on the Hub, or a "
                "private one; check the name, and log in (hf auth login) if it is private"
            )
        if isinstance(error, utils.RevisionNotFoundError):
            return (
                f"{wanted}: the repository has no such revision; name one of its branches, tags "
                "or commits"
            )
        return (
            f"{wanted}: there is no such folder, and the Hub did not give the repository "
            f"({first_line(error)}); try again, or name a model folder"
        )


def first_line(error: BaseException) -> str:
    """
    Return what an error of another library says, as one line.

    Parameters
    ----------
    error : BaseException
        Any error; messages of the Hub go on with request ids and addresses.

    Returns
    -------
    str
        Its type and the first line of its message.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _utils() -> ModuleType:
    # Errors have moved between modules of that package, but all its releases have them here.
    return require_extra("huggingface_hub.utils", extra="hub", purpose="a repository of the Hub")
