"""Which rows does the comparison have, and to which of them does a training belong?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provq_protein.quantize import Preset

COSINE, HARD = "cosine", "hard"
# What may differ between runs that are compared: the row, the seed, and how a run is watched.
_FREE = ("preset", "seed", "monitor")
_FREE_SETTINGS = ("curriculum.shape",)


@dataclass(frozen=True)
class Row:
    """
    One row of the tables.

    Attributes
    ----------
    key : str
        Name in files.
    title : str
        Name on the page.
    preset : str
        Codebook and parts of the curriculum.
    shape : str
        Scheduler of the soft transition.
    baseline : str or None
        Key of the row that this one is compared with.
    """

    key: str
    title: str
    preset: str
    shape: str = COSINE
    baseline: str | None = None

    @property
    def options(self) -> str:
        """Those of ``provq-vision train``."""
        scheduler = "" if self.shape == COSINE else f" --set curriculum.shape={self.shape}"
        return f"--preset {self.preset}{scheduler}"


# The order of the paper's Table 5, then Table 6's other scheduler, then what is in neither.
ROWS = {
    row.key: row
    for row in (
        Row("simvq", "SimVQ", "simvq"),
        Row("simvq_soft", "SimVQ + soft transition", "simvq+soft", baseline="simvq"),
        Row("vanilla", "Vanilla", "vanilla"),
        Row("vanilla_soft", "Vanilla + soft transition", "vanilla+soft", baseline="vanilla"),
        Row("vanilla_warmup", "Vanilla + manifold warm-up", "vanilla+warmup", baseline="vanilla"),
        Row("vanilla_provq", "Vanilla + both (ProVQ)", "vanilla+provq", baseline="vanilla"),
        Row(
            "vanilla_provq_hard",
            "Vanilla + both, hard scheduler",
            "vanilla+provq",
            shape=HARD,
            baseline="vanilla",
        ),
        Row("vanilla_l2", "Vanilla, l2-normalized (LlamaGen)", "vanilla_l2", baseline="vanilla"),
        Row("ema", "Vanilla, codes by moving average", "ema", baseline="vanilla"),
    )
}


def row_of(recipe: Mapping[str, Any]) -> Row:
    """
    Tell which row a recipe trains.

    Parameters
    ----------
    recipe : mapping
        As a model records it.

    Returns
    -------
    Row
        One of `ROWS`, or one made for a preset that is not among them.

    Raises
    ------
    ConfigError
        If there is no such preset.

    Examples
    --------
    >>> row_of({"preset": "vanilla+soft", "curriculum": {"shape": "cosine"}}).title
    'Vanilla + soft transition'
    >>> row_of({"preset": "rotation+provq", "curriculum": {"shape": "hard"}}).baseline
    'rotation'
    """
    name = recipe["preset"]
    has_transition = Preset(name).curriculum.transition
    # Where nothing is soft, its shape makes no difference.
    shape = recipe["curriculum"]["shape"] if has_transition else COSINE
    key = name.replace("+", "_") + ("" if shape == COSINE else f"_{shape}")
    method, plus, _ = name.partition("+")
    title = name if shape == COSINE else f"{name}, {shape} scheduler"
    made = Row(key, title, name, shape, method if plus else None)
    return ROWS.get(key, made)


def in_order(keys: Iterable[str]) -> list[str]:
    """
    Put rows in the order of the tables.

    Parameters
    ----------
    keys : iterable of str
        Of rows.

    Returns
    -------
    list of str
        Those of `ROWS` in their order, then others by name.
    """
    known = list(ROWS)
    return sorted(set(keys), key=lambda key: (known.index(key) if key in ROWS else len(known), key))


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
        Dotted setting to value; without preset, seed, scheduler and monitors.

    Examples
    --------
    >>> common_settings({"seed": 1, "steps": 8, "curriculum": {"shape": "hard", "warmup_steps": 2}})
    {'steps': 8, 'curriculum.warmup_steps': 2}
    """
    flat = _flat({name: value for name, value in recipe.items() if name not in _FREE}, "")
    return {name: value for name, value in flat.items() if name not in _FREE_SETTINGS}


def _flat(table: Mapping[str, Any], before: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = value
    return flat
