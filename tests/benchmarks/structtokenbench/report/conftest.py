"""Results of tokenizers that do not exist, as the lines of a results file."""

import math
from typing import Any

import numpy as np
import pytest

from structtokenbench.tasks import TASKS

MAINS = (
    "default", "3di", "protein_blocks", "small.vanilla", "small.aminoaseed",
    "small.aminoaseed.provq",
)  # fmt: skip
CONTROLS = (
    "position", "shuffled:default", "amino_acid", "random_codebook:default", "shuffled:3di",
)  # fmt: skip
QUALITY = {"default": 0.3, "3di": 0.18, "protein_blocks": 0.15, "small.vanilla": 0.1,
           "small.aminoaseed": 0.14, "small.aminoaseed.provq": 0.2, "position": 0.03,
           "amino_acid": 0.08, "random_codebook:default": 0.26}  # fmt: skip
LOCAL = ("BindBio", "CatBio")


def estimate(value: float, width: float = 0.03, note: str = "") -> dict[str, Any]:
    """An estimate as JSON holds it."""
    known = math.isfinite(value)
    return {
        "value": value if known else None,
        "low": value - width if known else None,
        "high": value + width if known else None,
        "spread": 0.004 if known else None,
        "per_seed": [value - 0.004, value, value + 0.004] if known else [None] * 3,
        "note": note,
    }


def head(kind: str, name: str, key: str) -> dict[str, Any]:
    """What all lines have."""
    codes = {"3di": 20, "protein_blocks": 16, "default": 4096}.get(name.split(":")[-1], 512)
    return {
        "format": "structtokenbench-result", "format_version": 1, "kind": kind, "key": key,
        "tokenizer": {"name": name, "fingerprint": f"f-{name}", "codes": codes, "dim": 32},
        "versions": {"provq": "0.1.0", "python": "3.11.9"}, "seconds": 61.5,
        "settings": {"name": "fast", "learning_rates": [0.03, 0.003], "seeds": [0, 1, 2]}
        if kind == "probe" else {},
    }  # fmt: skip


def split(value: float, width: float = 0.03, *, proteins: int = 100) -> dict[str, Any]:
    """Scores of one test split."""
    return {
        "estimates": {
            "pooled": estimate(value, width),
            "per_protein": estimate(value - 0.01, width),
            "batch_mean_published": estimate(value - 0.02, width),
        },
        "items": proteins + 5, "proteins": proteins, "labelled": 20_000, "scored": 19_500,
        "coverage": 0.975, "note": "",
    }  # fmt: skip


def probe(
    name: str, task: str, values: dict[str, Any], *, splits: str = "published", key: str = ""
) -> dict[str, Any]:
    """A line of kind probe, with scores by test split."""
    covered = {
        one: {"listed": 130, "used": 105, "problems": [
            {"id": f"{at}abc_A", "reason": f"structure file {at}abc.cif is missing"}
            for at in range(1, 5)
        ] + [{"id": "9xyz_B", "reason": "120 labels for 118 residues"}]}
        for one in ("train", "validation", *values)
    }  # fmt: skip
    return {
        **head("probe", name, key or f"{name}-{task}-{splits}"),
        "task": task, "splits": splits,
        "data": {"origin": "labels.npz", "content_hash": f"h{task}", "labels": "union",
                 "coverage": covered, "dropped_leaks": {"train": 7}},
        "token_problems": [{"id": "train: 5abc_A", "reason": "2 of 40 residues are resolved"}],
        "probe": {
            "task": task, "metric": "auroc", "criterion": "auroc", "learning_rate": 0.003,
            "validation": [{"learning_rate": rate, "per_seed": [0.6], "mean": 0.6}
                           for rate in (0.03, 0.003)],
            "best_steps": [400, 500, 300], "steps": 600, "train_items": 800, "splits": values,
            "left_out": [], "settings": {"name": "fast"},
        },
    }  # fmt: skip


def codebook(name: str, set_name: str, rng: np.random.Generator) -> dict[str, Any]:
    """A line of kind codebook."""
    line = head("codebook", name, f"{name}-{set_name}")
    size = line["tokenizer"]["codes"]
    weights = rng.dirichlet(np.full(size, 0.4))
    counts = rng.multinomial(8_000, weights)
    used = counts[counts > 0] / counts.sum()
    entropy = float(-(used * np.log(used)).sum())
    perplexity = math.exp(entropy)
    return {
        **line, "set": set_name,
        "data": {"origin": "sets.json", "content_hash": f"h{set_name}", "chains": 33,
                 "token_problems": []},
        "usage": {
            "codes": size, "chains": 33, "residues": 8_000, "counts": counts.tolist(),
            "utilization": float((counts > 0).mean()), "perplexity": perplexity,
            "normalized_perplexity": perplexity / size, "entropy_bits": entropy / math.log(2),
            "normalized_entropy": 0.8, "compression_ratio": 0.04,
            "batch_means": [
                {"chains_per_batch": chains, "batches": 4, "utilization": 0.0123 * chains,
                 "perplexity": 9.0, "normalized_perplexity": 0.0456 * chains}
                for chains in (1, 8)
            ],
        },
        "geometry": {
            "codes": size, "dim": 32, "mean_norm": 1.0, "mean_distance": 1.41,
            "mean_distance_with_diagonal": 1.3975, "relative_distance": 1.41, "mean_cosine": 0.0123,
            "cosine_quantiles": [-0.3, -0.1, 0.0, 0.1, 0.3], "nearest_cosine": 0.61,
            "usage_weighted_cosine": 0.05,
        },
    }  # fmt: skip


def sensitivity(name: str, set_name: str, rng: np.random.Generator) -> dict[str, Any]:
    """A line of kind sensitivity."""
    truth = rng.uniform(0.2, 1.0, 60)
    slope = 0.0 if name.startswith("shuffled") else 0.7
    scores = np.clip(slope * truth + rng.normal(0.2, 0.1, 60), -0.2, 1.0)
    estimates = {f"{how}_{what}": estimate(value, 0.1) for how, value in
                 (("raw", 0.2345), ("normalized", slope), ("length", 0.11))
                 for what in ("pearson", "spearman")}  # fmt: skip
    lacking = [{"id": "1abc.A-2abc.A", "reason": "1abc.A: has no tokens"}]
    return {
        **head("sensitivity", name, f"{name}-{set_name}"), "set": set_name,
        "result": {"pairs": set_name, "coverage": {"listed": 61, "used": 60, "problems": lacking},
                   **estimates},
        "scores": [
            {"id": f"p{at}", "tm_score": float(x), "raw": 900, "normalized": float(y),
             "lengths": [90, 91]}
            for at, (x, y) in enumerate(zip(truth, scores, strict=True))
        ] + [{"id": "bad", "tm_score": 0.5, "raw": 0, "normalized": None, "lengths": [0, 9]}],
    }  # fmt: skip


def everything(
    mains: tuple[str, ...] = MAINS, controls: tuple[str, ...] = CONTROLS
) -> list[dict[str, Any]]:
    """Lines of a whole run, controls between tokenizers; CatBio and BindBio are split anew."""
    rng = np.random.default_rng(0)
    chance = {"auroc": 0.5, "spearman": 0.0, "macro_f1": 0.03}
    found = []
    for name in (*controls[:1], *mains, *controls[1:]):
        for set_name in ("casp14", "cameo2022"):
            found.append(codebook(name, set_name, rng))
        for set_name in ("apo_holo", "fold_switching"):
            found.append(sensitivity(name, set_name, rng))
        for task in TASKS.values():
            gain = QUALITY.get(name, 0.0)
            values = {
                test.split: split(
                    chance[task.metric] + gain * rng.uniform(0.4, 1.3) + rng.normal(0, 0.006),
                    rng.uniform(0.01, 0.06), proteins=int(rng.integers(20, 400)),
                )
                for test in task.tests
            }  # fmt: skip
            if task.name in LOCAL:
                local = {"local_test": values["fold_test"]}
                found.append(probe(name, task.name, local, splits="local"))
            else:
                found.append(probe(name, task.name, values))
        scope = {
            test.split: split(0.3 + QUALITY.get(name, 0), 0.02) for test in TASKS["Homo"].tests
        }
        found.append(probe(name, "HomoSCOPe", scope, splits="scope"))
    return found


@pytest.fixture
def make():
    """The builders of this file, for tests."""
    return {
        "probe": probe, "split": split, "codebook": codebook, "sensitivity": sensitivity,
        "estimate": estimate, "everything": everything, "head": head,
    }  # fmt: skip
