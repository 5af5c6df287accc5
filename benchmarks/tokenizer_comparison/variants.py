"""Which tokenizers are compared, and which of them did a run train?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provq_protein.errors import ConfigError

FAMILIES = {"vanilla_vq": "VanillaVQ", "aminoaseed": "AminoAseed"}
# By the kind of codebook in a recipe.
_FAMILY_OF_KIND = {"free": "vanilla_vq", "linear": "aminoaseed"}
_PROVQ = "_provq"
# What a run may differ in from the others of the comparison.
_FREE = ("seed", "schedule", "seeding", "monitor")
# A recipe's numbers of the curriculum, as far as they tell the variants apart.
_Pattern = tuple[bool, bool, str, str]


@dataclass(frozen=True)
class Variant:
    """
    One row of the comparison.

    Parameters
    ----------
    key : str
        Its name in files.
    family : str
        A key of `FAMILIES`.
    title : str
        Its name in tables.
    options : str
        Those of ``provq-protein train`` that make it.
    """

    key: str
    family: str
    title: str
    options: str


# Pieces of the curriculum: ending of the key, title, recipe with ProVQ, and its changes. The
# pattern is whether there is a warm-up, a transition, then its shape and the seeding.
_PIECES: dict[str, tuple[str, str, tuple[str, ...], _Pattern]] = {
    "": ("", "", (), (False, False, "", "none")),
    "kmeans": (
        " + k-means only",
        "",
        ("seeding.method=kmeans",),
        (False, False, "", "kmeans"),
    ),
    "warmup": (
        " + warm-up only",
        _PROVQ,
        ("schedule.transition_steps=0",),
        (True, False, "", "kmeans"),
    ),
    "soft": (
        " + soft transition only",
        _PROVQ,
        ("schedule.warmup_steps=0", "seeding.method=none"),
        (False, True, "cosine", "none"),
    ),
    "hard": (
        " + hard scheduler",
        _PROVQ,
        ("schedule.shape=hard",),
        (True, True, "hard", "kmeans"),
    ),
    "provq": (" + ProVQ", _PROVQ, (), (True, True, "cosine", "kmeans")),
}
# Ablations of the recipe with ProVQ, as endings of keys.
PARTS_OF_PROVQ = tuple(
    piece for piece, (_, recipe, changes, _) in _PIECES.items() if recipe and changes
)


def _variant(family: str, piece: str) -> Variant:
    title, ending, changes, _ = _PIECES[piece]
    recipe = family + ending
    key = recipe if piece in ("", "provq") else f"{recipe}.{piece}"
    options = " ".join([f"--recipe small_{recipe}", *(f"--set {one}" for one in changes)])
    return Variant(key, family, FAMILIES[family] + title, options)


VARIANTS = {
    one.key: one for one in (_variant(family, piece) for family in FAMILIES for piece in _PIECES)
}


def baseline(family: str) -> str:
    """
    Return the variant without any curriculum.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.

    Returns
    -------
    str
        A key of `VARIANTS`.
    """
    return family


def provq(family: str) -> str:
    """
    Return the variant with the whole curriculum.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.

    Returns
    -------
    str
        A key of `VARIANTS`.

    Examples
    --------
    >>> provq("aminoaseed")
    'aminoaseed_provq'
    """
    return family + _PROVQ


def variant_of(recipe: Mapping[str, Any], *, where: str) -> str:
    """
    Tell which variant a recipe trains.

    Parameters
    ----------
    recipe : mapping
        As a model records it.
    where : str
        What it was recorded by, for the message.

    Returns
    -------
    str
        A key of `VARIANTS`.

    Raises
    ------
    ConfigError
        If it is none of them.
    """
    kind = recipe["model"]["codebook"]["kind"]
    schedule, method = recipe["schedule"], recipe["seeding"]["method"]
    transition = schedule["transition_steps"] > 0
    shape = schedule["shape"] if transition else ""
    found: _Pattern = (schedule["warmup_steps"] > 0, transition, shape, method)
    for piece, (*_, pattern) in _PIECES.items():
        if kind in _FAMILY_OF_KIND and pattern == found:
            return _variant(_FAMILY_OF_KIND[kind], piece).key
    msg = (
        f"{where}: no variant of the comparison: codebook {kind!r}, warm-up of "
        f"{schedule['warmup_steps']} steps, transition of {schedule['transition_steps']} "
        f"({schedule['shape']}), seeding {method!r}; the options of each variant are in "
        "benchmarks/tokenizer_comparison/README.md"
    )
    raise ConfigError(msg)


def common_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what the runs of a fair comparison have in common.

    Parameters
    ----------
    recipe : mapping
        As a model records it.

    Returns
    -------
    dict
        Dotted setting to value; without seed, curriculum, monitors and the kind of codebook.

    Examples
    --------
    >>> common_settings({"seed": 1, "steps": 8, "model": {"codebook": {"kind": "free", "size": 4}}})
    {'steps': 8, 'model.codebook.size': 4}
    """
    flat = _flat({name: value for name, value in recipe.items() if name not in _FREE}, "")
    return {name: value for name, value in flat.items() if name != "model.codebook.kind"}


def _flat(table: Mapping[str, Any], before: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = value
    return flat
