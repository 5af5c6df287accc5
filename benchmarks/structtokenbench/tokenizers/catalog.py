"""Which tokenizer does a name on the command line mean?"""

from collections.abc import Callable
from pathlib import Path

from provq_protein.errors import ConfigError
from structtokenbench.tokenizers.alphabets import FoldseekAlphabet, ProteinBlocksAlphabet
from structtokenbench.tokenizers.controls import (
    AminoAcidOnly,
    PositionOnly,
    RandomCodebook,
    Shuffled,
)
from structtokenbench.tokenizers.esm3 import Esm3Tokenizer
from structtokenbench.tokenizers.proteinmpnn import ProteinMpnn
from structtokenbench.tokenizers.protocol import BenchmarkTokenizer
from structtokenbench.tokenizers.released import ReleasedTokenizer
from structtokenbench.tokenizers.trained import Output, TrainedTokenizer

_NAMED: dict[str, Callable[[], BenchmarkTokenizer]] = {
    "3di": FoldseekAlphabet,
    "3di:published": lambda: FoldseekAlphabet(published=True),
    "protein_blocks": ProteinBlocksAlphabet,
    "proteinmpnn": ProteinMpnn,
    "position": PositionOnly,
    "amino_acid": AminoAcidOnly,
}
_WRAPPERS: dict[str, Callable[[BenchmarkTokenizer], BenchmarkTokenizer]] = {
    "shuffled": Shuffled,
    "random_codebook": RandomCodebook,
}
_SUFFIXES: dict[str, Output] = {":latents": "latents", ":raw_codebook": "raw_codebook"}

KNOWN = (
    "default, a model folder, 3di, 3di:published, protein_blocks, proteinmpnn, esm3:<file>, "
    "released:<file>, position, amino_acid, shuffled:<name>, random_codebook:<name>; default, a "
    "model folder and released:<file> may end in :latents or :raw_codebook"
)
"""What `build` understands, for messages."""


def build(name: str) -> BenchmarkTokenizer:
    """
    Return the tokenizer of a name.

    Parameters
    ----------
    name : str
        One of `KNOWN`.

    Returns
    -------
    BenchmarkTokenizer
        Ready to tokenize, on the CPU.

    Raises
    ------
    ConfigError
        If the name is unknown.
    CheckpointError
        If weights are absent or damaged.
    MissingExtraError
        If the tokenizer's package is not installed.

    Examples
    --------
    >>> build("protein_blocks").codebook.shape
    (16, 16)
    >>> build("shuffled:amino_acid").name
    'shuffled:amino_acid'
    """
    if name in _NAMED:
        return _NAMED[name]()
    prefix, _, rest = name.partition(":")
    if prefix in _WRAPPERS and rest:
        return _WRAPPERS[prefix](build(rest))
    if prefix == "esm3" and rest:
        return Esm3Tokenizer(Path(rest))
    model, output = _split_output(name)
    if model.startswith("released:"):
        weights = Path(model.removeprefix("released:"))
        return ReleasedTokenizer(weights, name=name, output=output)
    if model == "default" or (model and Path(model).is_dir()):
        return TrainedTokenizer.load(model, name=name, output=output)
    msg = f"tokenizer {name!r}: no such name and no such folder; known are {KNOWN}"
    raise ConfigError(msg)


def _split_output(name: str) -> tuple[str, Output]:
    for suffix, output in _SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), output
    return name, "codes"
