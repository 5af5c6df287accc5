"""Which model encodes in a worker process?"""

import dataclasses
from typing import TYPE_CHECKING, Any

from provq_protein.errors import ConfigError
from provq_protein.precision import Precision

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

    @property
    def exact_because(self) -> str | None:
        """Why it computes exactly although fast precision was asked for; else None."""
        return self._tokenizer.exact_because

    @property
    def fast_facts(self) -> dict[str, Any] | None:
        """What fast precision did for the last chain, as JSON values; None without it."""
        report = self._tokenizer.last_fast_report
        return None if report is None else dataclasses.asdict(report)


def load_tokenizer(
    model: str | None, *, device: str = "cpu", precision: Precision = "exact"
) -> TokenizerEncoder:
    """
    Load a trained model for a worker process.

    Parameters
    ----------
    model : str or None
        A model folder; None for the model that is shipped.
    device : str
        Where to encode, as torch names it.
    precision : {"exact", "fast"}
        As `StructureTokenizer` takes it.

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
    tokenizer = StructureTokenizer.from_pretrained(model, precision=precision)
    try:
        tokenizer.model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        msg = f"--device {device}: cannot be used: {error}"
        raise ConfigError(msg) from error
    return TokenizerEncoder(tokenizer)
