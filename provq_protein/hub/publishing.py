"""How does a model folder become a commit of a repository on the Hub?"""

from collections.abc import Callable
from pathlib import Path

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.extras import require_extra
from provq_protein.hub.folders import first_line, is_repository
from provq_protein.runs.documents import CARD, CONFIG, EXPECTED_SCORES, WEIGHTS

FILES = (CONFIG, WEIGHTS, CARD, EXPECTED_SCORES)
"""What a repository gets; nothing else is uploaded."""


def publish(
    save: Callable[[Path], None],
    repository: str,
    *,
    commit_message: str,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
) -> str:
    """
    Upload a model with the mixin of ``huggingface_hub``.

    Parameters
    ----------
    save : callable
        Writes the model into the folder that it is given, which exists already.
    repository : str
        ``USER/NAME``; made if it does not exist.
    commit_message : str
        Of the one commit.
    private : bool, optional
        Whether a repository that is made is private; by default as its owner has set it.
    revision : str, optional
        An existing branch; by default the main one.
    create_pr : bool
        Whether to propose the commit instead of making it.
    token : str, optional
        By default that of ``hf auth login``, or of the variable ``HF_TOKEN``.

    Returns
    -------
    str
        Address of the commit, or of the proposal.

    Raises
    ------
    ConfigError
        If no repository can be called so.
    CheckpointError
        If the Hub does not take it; the message says what to do.
    MissingExtraError
        If ``huggingface_hub`` is not installed.
    """
    if not is_repository(repository):
        msg = f"{repository}: expected a repository of the Hub, USER/NAME"
        raise ConfigError(msg)
    hub = require_extra("huggingface_hub", extra="hub", purpose="publishing on the Hub")

    # Made here, so that a tokenizer can be imported without the package.
    class Published(hub.ModelHubMixin):
        def _save_pretrained(self, save_directory: Path) -> None:
            save(Path(save_directory))

    # Older releases take no None here.
    visibility = {} if private is None else {"private": private}
    try:
        answer = Published().push_to_hub(
            repository,
            commit_message=commit_message,
            branch=revision,
            create_pr=create_pr,
            token=token,
            allow_patterns=list(FILES),
            **visibility,
        )
    except Exception as error:
        msg = (
            f"{repository}: the Hub did not take the model ({first_line(error)}); log in with a "
            "token that may write there (hf auth login), or save the model as a FOLDER and upload "
            f"that elsewhere: hf upload {repository} FOLDER"
        )
        raise CheckpointError(msg) from error
    # As text, it is the address of the branch.
    return str(answer.pr_url or answer.commit_url)
