"""Which model encodes in a worker process?"""

from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError

if TYPE_CHECKING:
    from provq_protein.structure.backbone import Backbone
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.sequence import TokenSequence


class TokenizerEncoder:
    """
    A `StructureTokenizer` as a worker uses it.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    """

    def __init__(self, tokenizer: "StructureTokenizer") -> None:
        self._tokenizer = tokenizer

    @property
    def fingerprint(self) -> str:
        """Identity of encoder and codebook."""
        return self._tokenizer.fingerprint

    def encode(self, chain: "Backbone") -> "TokenSequence":
        """
        Return the tokens of one chain.

        Parameters
        ----------
        chain : Backbone
            With at least one resolved residue.

        Returns
        -------
        TokenSequence
            One token per resolved residue.
        """
        return self._tokenizer.encode([chain])[0]


def load_tokenizer(model: str | None, *, device: str = "cpu") -> TokenizerEncoder:
    """
    Load a trained model for a worker process.

    Parameters
    ----------
    model : str or None
        A model folder; None for the model that is shipped.
    device : str
        Where to encode, as torch names it.

    Returns
    -------
    TokenizerEncoder
        It computes with one thread, so that the number of processes cannot change a sum.

    Raises
    ------
    CheckpointError
        If the folder is absent, incomplete or damaged.
    ConfigError
        If there is no such device.
    """
    import torch

    from provq_protein.tokenizer import StructureTokenizer

    torch.set_num_threads(1)
    tokenizer = StructureTokenizer.from_pretrained(model)
    try:
        tokenizer.model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        msg = f"--device {device}: cannot be used: {error}"
        raise ConfigError(msg) from error
    return TokenizerEncoder(tokenizer)
