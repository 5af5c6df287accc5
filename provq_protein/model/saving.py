"""What is written when a model is saved, and saved again after it was loaded?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.hub.card import CardFacts, model_card
from provq_protein.hub.publishing import FILES, publish
from provq_protein.runs import checkpoint
from provq_protein.runs.config import to_mapping
from provq_protein.runs.documents import CARD, EXPECTED_SCORES, ModelOrigin

if TYPE_CHECKING:
    from provq_protein.model.autoencoder import StructureAutoencoder


def write_model(
    model: "StructureAutoencoder",
    folder: Path,
    *,
    training: Mapping[str, Any],
    card: str | None = None,
    expected_scores: str | None = None,
) -> None:
    """
    Write a model folder, whole or not at all.

    Parameters
    ----------
    model : StructureAutoencoder
        The model.
    folder : Path
        Where; replaced if it exists.
    training : mapping
        How the model was made (JSON values).
    card : str, optional
        Text of its model card; by default it gets none.
    expected_scores : str, optional
        Text of what says how well these very weights reconstruct; by default nothing does.
    """
    document = {
        "format": "provq-model",
        "format_version": checkpoint.FORMAT_VERSION,
        "fingerprint": model.fingerprint(),
        "model": to_mapping(model.config),
        "training": dict(training),
    }
    texts = {CARD: card, EXPECTED_SCORES: expected_scores}
    checkpoint.save_folder(
        folder,
        {checkpoint.WEIGHTS: model.state_dict()},
        {checkpoint.CONFIG: document},
        {name: text for name, text in texts.items() if text is not None},
    )


class SavedModel:
    """What a tokenizer with a model can do with it beside computing: save and publish it."""

    model: "StructureAutoencoder"
    origin: ModelOrigin | None
    """What the folder of the model says beside it; None if the model comes from no folder."""

    def save_pretrained(
        self, folder: str | Path, *, overwrite: bool = False, license: str | None = None
    ) -> None:
        """
        Write a model folder: ``config.json``, ``model.safetensors`` and a model card.

        Parameters
        ----------
        folder : str or Path
            Where; it appears whole or not at all.
        overwrite : bool
            Whether to replace a model folder.
        license : str, optional
            Of the weights, as the Hub abbreviates it (``"apache-2.0"``), for a card that is
            generated. By default that card states none.

        Raises
        ------
        CheckpointError
            If `folder` exists and `overwrite` is False, or it holds other files.
        ConfigError
            If no license is abbreviated so, or the card states one already.

        Notes
        -----
        The record of the training is that of the folder which was loaded. Its card and its
        expected scores are kept as well, as long as the weights are those that they describe;
        otherwise a card is generated.
        """
        folder = Path(folder)
        _check_target(folder, overwrite=overwrite)
        self._write(folder, folder.name, license)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        commit_message: str = "Upload a model of provq",
        revision: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
        license: str | None = None,
    ) -> str:
        """
        Publish the model on the Hugging Face Hub, as `save_pretrained` writes it.

        Parameters
        ----------
        repository : str
            ``USER/NAME``; made if it does not exist.
        private : bool, optional
            Whether a repository that is made is private; by default as its owner has set it.
        commit_message : str
            Of the one commit.
        revision : str, optional
            An existing branch; by default the main one.
        create_pr : bool
            Whether to propose the commit instead of making it.
        token : str, optional
            By default that of ``hf auth login``, or of the variable ``HF_TOKEN``.
        license : str, optional
            As `save_pretrained` takes it.

        Returns
        -------
        str
            Address of the commit, or of the proposal.

        Raises
        ------
        CheckpointError
            If the Hub does not take it; the message says what to do.
        ConfigError
            If no repository or license can be called so, or the card states one already.
        MissingExtraError
            If ``huggingface_hub`` is not installed.
        """
        # Found out before a repository is made.
        self._card(repository, license, self._unchanged_origin())
        return publish(
            lambda folder: self._write(folder, repository, license),
            repository,
            commit_message=commit_message,
            private=private,
            revision=revision,
            create_pr=create_pr,
            token=token,
        )

    def _write(self, folder: Path, name: str, license: str | None) -> None:
        kept = self._unchanged_origin()
        write_model(
            self.model,
            folder,
            training=self._training,
            card=self._card(name, license, kept),
            expected_scores=None if kept is None else kept.expected_scores,
        )

    def _unchanged_origin(self) -> ModelOrigin | None:
        """Return where the model comes from, if its weights are still those of that folder."""
        origin = self.origin
        kept = origin is not None and _unchanged(self.model, origin.folder)
        return origin if kept else None

    @property
    def _training(self) -> Mapping[str, Any]:
        return {} if self.origin is None else self.origin.training

    def _card(self, name: str, license: str | None, origin: ModelOrigin | None) -> str:
        """Return the card of an unchanged model, or a generated one."""
        if origin is not None and origin.card is not None:
            if license is not None:
                msg = (
                    f"license {license!r}: the model has a card, which is kept; state the license "
                    f"in {origin.folder / CARD}"
                )
                raise ConfigError(msg)
            return origin.card
        return model_card(_facts(self.model, name, self._training, license))


def _check_target(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is a file; name a folder for the model"
        raise CheckpointError(msg)
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in found if name not in FILES]
    if others:
        msg = (
            f"{folder}: holds other files than a model ({others[0]}), which would be lost; name "
            "another folder"
        )
        raise CheckpointError(msg)
    if found and not overwrite:
        msg = f"{folder}: exists; name another folder, or allow to replace it (overwrite=True)"
        raise CheckpointError(msg)


def _unchanged(model: "StructureAutoencoder", folder: Path) -> bool:
    """Whether a model still has the weights of the folder that it was loaded from."""
    try:
        before = checkpoint.load_tensors(folder / checkpoint.WEIGHTS)
    except CheckpointError:
        return False
    now = model.state_dict()
    return before.keys() == now.keys() and all(
        torch.equal(before[name], values.detach().cpu()) for name, values in now.items()
    )


def _facts(
    model: "StructureAutoencoder",
    name: str,
    training: Mapping[str, Any],
    license: str | None,
) -> CardFacts:
    config = to_mapping(model.config)
    # What codes mean is learned beside them: steps along the chain, and across breaks.
    meaning = [one for one in (model.quantizer, model.course, model.breaks) if one is not None]
    modules = {"encoder": [model.encoder], "codebook": meaning, "decoder": [model.decoder]}
    parts = {
        part: (
            str(config[part].get("kind", "-")),
            sum(values.numel() for module in group for values in module.parameters()),
        )
        for part, group in modules.items()
    }
    codes, latent_dim = model.codebook().shape
    return CardFacts(
        name=name,
        fingerprint=model.fingerprint(),
        codes=codes,
        latent_dim=latent_dim,
        parts=parts,
        training=training,
        license=license,
    )
