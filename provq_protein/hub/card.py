"""What does the card of a model say that nobody wrote one for?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provq_protein.errors import ConfigError

TAGS = ("protein-structure", "tokenizer", "vector-quantization", "provq")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_NOT_RECORDED = "not recorded"
# Facts of a training run under the names that `provq-protein train` gives them.
_TRAINING = {
    "command": "command",
    "data_hash": "data hash",
    "training_chains": "training chains",
    "validation_chains": "held-out chains",
    "steps": "steps",
    "seed": "seed",
    "trained_seconds": "seconds",
    "machine": "machine",
    "versions": "versions",
}
_USE = """\
```python
from provq_protein import StructureTokenizer

tokenizer = StructureTokenizer.from_pretrained("{model}")
tokens = tokenizer.encode(["structure.cif"])
backbones = tokenizer.decode(tokens)
```

```bash
provq-protein encode structure.cif --model {model} -o tokens.npz
provq-protein decode tokens.npz --model {model} -o decoded
```

The package is called `provq`; its extra `hub` reads repositories of the Hugging Face Hub. Token
files carry the fingerprint above, and other models refuse to decode them."""
_LIMITS = """\
* Backbones only (N, CA, C of single chains); side chains and how chains are arranged are not
  encoded.
* Bond lengths, angles and clashes of decoded chains are not corrected.
* Ids of this model mean nothing to a model with another fingerprint."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """
    What is known about a model.

    Parameters
    ----------
    name : str
        What to call it: a folder, or a repository of the Hub.
    fingerprint : str
        Of encoder and codebook.
    codes : int
        Number of codes.
    latent_dim : int
        Numbers of a code.
    parts : mapping from str to tuple of str and int
        The kind of each part, and its number of parameters.
    training : mapping
        How the model was made, as its configuration records it; may be empty.
    license : str or None
        As the Hub abbreviates it, for instance ``"apache-2.0"``; None if it is not known.
    """

    name: str
    fingerprint: str
    codes: int
    latent_dim: int
    parts: Mapping[str, tuple[str, int]]
    training: Mapping[str, Any]
    license: str | None


def card_header(license: str | None) -> str:
    """
    Return the lines in front of a model card by which the Hub finds and sorts models.

    Parameters
    ----------
    license : str or None
        As the Hub abbreviates it; None to state none.

    Returns
    -------
    str
        YAML between two rules, with a line break at its end.

    Raises
    ------
    ConfigError
        If no license is abbreviated so.

    Examples
    --------
    >>> print(card_header("mit"), end="")
    ---
    library_name: provq
    license: mit
    tags:
    - protein-structure
    - tokenizer
    - vector-quantization
    - provq
    ---
    """
    if license is not None and not _LICENSE.fullmatch(license):
        msg = (
            f"license {license!r}: expected a name as the Hub abbreviates it, such as apache-2.0, "
            "cc-by-4.0 or other"
        )
        raise ConfigError(msg)
    stated = [] if license is None else [f"license: {license}"]
    tags = [f"- {tag}" for tag in TAGS]
    return "\n".join(["---", "library_name: provq", *stated, "tags:", *tags, "---", ""])


def model_card(facts: CardFacts) -> str:
    """
    Write a model card that claims nothing which is not known.

    Parameters
    ----------
    facts : CardFacts
        About the model.

    Returns
    -------
    str
        Markdown behind a header for the Hub.

    Raises
    ------
    ConfigError
        If no license is abbreviated as `facts` has it.
    """
    sections = [
        f"# Model card: {_plain(facts.name)}",
        "A tokenizer of protein backbones: one discrete token per residue, and back.",
        "## Model",
        _table(_model_rows(facts)),
        "## Training",
        _training(facts.training),
        "## Quality",
        "Not measured. `provq-protein evaluate FILES --model MODEL` measures what encoding and "
        "decoding\nleave of structures, and `provq-protein stability` which ids survive small "
        "changes.",
        "## Use",
        _USE.format(model=_plain(facts.name)),
        "## Limits",
        _LIMITS,
        "## License",
        "Not stated; ask who made the weights."
        if facts.license is None
        else f"Of the weights: {facts.license}.",
    ]
    return card_header(facts.license) + "\n" + "\n\n".join(sections) + "\n"


def _model_rows(facts: CardFacts) -> list[tuple[str, str]]:
    parts = [
        (part, f"{_plain(kind)}, {number:,} parameters")
        for part, (kind, number) in facts.parts.items()
    ]
    codes = f"{facts.codes:,} of dimension {facts.latent_dim}"
    return [("fingerprint", f"`{facts.fingerprint}`"), ("codes", codes), *parts]


def _training(training: Mapping[str, Any]) -> str:
    if not training:
        return "Not recorded: the model may be untrained, or its weights come from elsewhere."
    recipe = training.get("recipe")
    seed = recipe.get("seed") if isinstance(recipe, Mapping) else None
    known = {"seed": seed, **training}
    rows = [(title, _value(known.get(name))) for name, title in _TRAINING.items()]
    # Whatever else is one value: a converted model says where its weights come from.
    rows += [
        (_plain(name), _value(value))
        for name, value in training.items()
        if name not in _TRAINING and isinstance(value, str | int | float)
    ]
    return _table(rows)


def _value(value: object) -> str:
    if value is None or value == "":
        return _NOT_RECORDED
    if isinstance(value, Mapping):
        return ", ".join(f"{_plain(name)} {_plain(one)}" for name, one in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _plain(value)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(["|  |  |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)])


def _plain(text: object) -> str:
    """Return text that stays in its cell: no line break, no column, no HTML."""
    flat = " ".join(str(text).split())
    return flat.replace("|", "\\|").replace("<", "&lt;")
