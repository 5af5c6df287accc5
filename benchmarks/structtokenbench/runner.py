"""In which order is everything measured, and how does each measurement become a result?"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import numpy as np

from structtokenbench.chain_sets import ChainSet
from structtokenbench.codebook import measure_geometry, measure_usage
from structtokenbench.conformations import PairSet
from structtokenbench.datasets import Dataset
from structtokenbench.items import Coverage, Problem, TaskData
from structtokenbench.probe import ProbeItem, ProbeSettings, make_item, run_probe
from structtokenbench.results import ResultsFile, result_key
from structtokenbench.sensitivity import measure_sensitivity
from structtokenbench.tasks import Level
from structtokenbench.token_cache import CachedTokens, TokenCache
from structtokenbench.tokenizers.protocol import BenchmarkTokenizer

Progress = Callable[[int, int], None]
Watch = Callable[[str], Progress]
"""Given what is being done, returns what is told how far it is."""

_PACKAGES = ("provq", "torch", "numpy", "scikit-learn", "biotite")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """
    What all measurements of a run share.

    Parameters
    ----------
    cache : TokenCache
        Tokens on disk.
    results : ResultsFile
        Where results go. What is there is not measured again.
    settings : ProbeSettings
        Of every probe.
    watch : callable
        Called with what is being done; returns a progress callback.
    """

    cache: TokenCache
    results: ResultsFile
    settings: ProbeSettings
    watch: Watch

    def probe(self, tokenizer: BenchmarkTokenizer, dataset: Dataset) -> dict[str, Any]:
        """
        Train and score probes of one task on one tokenizer.

        Parameters
        ----------
        tokenizer : BenchmarkTokenizer
            What is judged.
        dataset : Dataset
            The task.

        Returns
        -------
        dict
            The result, new or found in the file. A task that cannot be run has the key
            ``"failed"`` with the reason.
        """
        data = dataset.data
        identity = {
            "task": dataset.name,
            "splits": dataset.splits,
            "data": data.content_hash if data else dataset.problem,
            "settings": self.settings.to_mapping(),
        }
        return self._once("probe", tokenizer, identity, lambda: self._probed(tokenizer, dataset))

    def codebook(self, tokenizer: BenchmarkTokenizer, chains: ChainSet) -> dict[str, Any] | None:
        """
        Measure how a tokenizer uses its codes on a set of chains.

        Parameters
        ----------
        tokenizer : BenchmarkTokenizer
            What is judged.
        chains : ChainSet
            Chains without labels.

        Returns
        -------
        dict or None
            The result; None for a tokenizer without codes.
        """
        if tokenizer.codebook is None:
            return None
        identity = {"set": chains.name, "data": chains.content_hash}
        return self._once("codebook", tokenizer, identity, lambda: self._counted(tokenizer, chains))

    def sensitivity(self, tokenizer: BenchmarkTokenizer, pairs: PairSet) -> dict[str, Any]:
        """
        Correlate token similarity with structural similarity over pairs of conformations.

        Parameters
        ----------
        tokenizer : BenchmarkTokenizer
            What is judged.
        pairs : PairSet
            The pairs.

        Returns
        -------
        dict
            The result.
        """
        chains = ChainSet(name=pairs.name, chains=pairs.chains, origin="")
        identity = {"set": pairs.name, "data": chains.content_hash, "listed": pairs.listed}
        return self._once(
            "sensitivity", tokenizer, identity, lambda: self._paired(tokenizer, pairs)
        )

    def _once(
        self,
        kind: str,
        tokenizer: BenchmarkTokenizer,
        identity: Mapping[str, object],
        measure: Callable[[], Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Measure what the results file does not have yet."""
        who = {"name": tokenizer.name, "fingerprint": tokenizer.fingerprint}
        key = result_key(kind=kind, tokenizer=who, **identity)
        for line in self.results:
            if line["key"] == key:
                return line
        started = time.perf_counter()
        found = measure()
        result = {
            "kind": kind,
            "key": key,
            "tokenizer": {**who, **_size(tokenizer)},
            **found,
            "settings": self.settings.to_mapping() if kind == "probe" else {},
            "versions": _versions(),
            "seconds": round(time.perf_counter() - started, 1),
        }
        self.results.add(jsonable(result))
        return result

    def _tokens(self, tokenizer: BenchmarkTokenizer, chains: Mapping[str, Any]) -> CachedTokens:
        return self.cache.tokens(tokenizer, chains, progress=self.watch("tokens"))

    def _probed(self, tokenizer: BenchmarkTokenizer, dataset: Dataset) -> dict[str, Any]:
        found: dict[str, Any] = {"task": dataset.name, "splits": dataset.splits}
        data = dataset.data
        if data is None or dataset.problem:
            return {**found, "failed": dataset.problem, "data": _described(dataset)}
        tokens = self._tokens(tokenizer, data.chains)
        items, problems = probe_items(data, tokens, dataset.task.level)
        found |= {"data": _described(dataset), "token_problems": problems}
        try:
            result = run_probe(
                dataset.task,
                items,
                tokenizer.codebook,
                self.settings,
                progress=self.watch("probe"),
            )
        except ValueError as error:
            return {**found, "failed": str(error)}
        return {**found, "probe": result.to_mapping()}

    def _counted(self, tokenizer: BenchmarkTokenizer, chains: ChainSet) -> dict[str, Any]:
        table = tokenizer.codebook
        if table is None:
            return {}
        tokens = self._tokens(tokenizer, chains.chains)
        usage = measure_usage(tokens.values(), len(table))
        return {
            "set": chains.name,
            "data": {
                "origin": chains.origin,
                "content_hash": chains.content_hash,
                "chains": len(tokens),
                "token_problems": [*chains.problems, *tokens.problems],
            },
            "usage": usage,
            "geometry": measure_geometry(table, usage.counts),
        }

    def _paired(self, tokenizer: BenchmarkTokenizer, pairs: PairSet) -> dict[str, Any]:
        tokens = self._tokens(tokenizer, pairs.chains)
        reasons = {one.id: one.reason for one in tokens.problems}
        result = asdict(measure_sensitivity(pairs, tokens, tokenizer.codebook, problems=reasons))
        return {"set": pairs.name, "scores": result.pop("scores"), "result": result}


def run_all(
    bench: Bench,
    tokenizers: Sequence[BenchmarkTokenizer],
    *,
    datasets: Iterable[Dataset] = (),
    chain_sets: Iterable[ChainSet] = (),
    pair_sets: Iterable[PairSet] = (),
) -> list[dict[str, Any]]:
    """
    Measure every tokenizer on everything.

    Parameters
    ----------
    bench : Bench
        How.
    tokenizers : sequence of BenchmarkTokenizer
        Which ones.
    datasets : iterable of Dataset
        Tasks; one is held in memory at a time.
    chain_sets : iterable of ChainSet
        Sets for codebooks.
    pair_sets : iterable of PairSet
        Sets for sensitivity.

    Returns
    -------
    list of dict
        All results, in the order of measurement.
    """
    found: list[dict[str, Any] | None] = []
    for chains in chain_sets:
        found += [bench.codebook(tokenizer, chains) for tokenizer in tokenizers]
    for pairs in pair_sets:
        found += [bench.sensitivity(tokenizer, pairs) for tokenizer in tokenizers]
    for dataset in datasets:
        found += [bench.probe(tokenizer, dataset) for tokenizer in tokenizers]
    return [result for result in found if result is not None]


def probe_items(
    data: TaskData, tokens: CachedTokens, level: Level
) -> tuple[dict[str, list[ProbeItem]], list[Problem]]:
    """
    Join labels and tokens.

    Parameters
    ----------
    data : TaskData
        Labels.
    tokens : CachedTokens
        Tokens of its chains.
    level : {"residue", "chain"}
        What a label belongs to.

    Returns
    -------
    items : dict of str to list of ProbeItem
        By split, in the order of the source.
    problems : list of Problem
        Items whose chain has no tokens, or whose tokens do not fit.
    """
    reasons = {one.id: one.reason for one in tokens.problems}
    joined: dict[str, list[ProbeItem]] = {}
    problems = []
    for split, items in data.splits.items():
        joined[split] = []
        for item in items:
            if item.chain not in tokens:
                reason = reasons.get(item.chain, f"chain {item.chain} has no tokens")
                problems.append(Problem(id=f"{split}: {item.id}", reason=reason))
                continue
            try:
                joined[split].append(make_item(item, tokens[item.chain], level=level))
            except ValueError as error:
                problems.append(Problem(id=f"{split}: {item.id}", reason=str(error)))
    return joined, problems


def jsonable(value: Any) -> Any:  # noqa: ANN401 - any of what results are made of
    """
    Turn dataclasses and arrays into JSON values, and numbers that JSON lacks into None.

    Parameters
    ----------
    value : object
        A result or a part of one.

    Returns
    -------
    JSON value
        The same.

    Examples
    --------
    >>> jsonable({"a": np.arange(2), "b": (float("nan"), 1)})
    {'a': [0, 1], 'b': [None, 1]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: getattr(value, name) for name in type(value).__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _described(dataset: Dataset) -> dict[str, Any]:
    data = dataset.data
    coverage: Mapping[str, Coverage] = data.coverage if data else {}
    return {
        "origin": data.origin if data else "",
        "content_hash": data.content_hash if data else "",
        "labels": dataset.labels,
        "keep_leaks": dataset.options.keep_leaks,
        "merge_duplicates": dataset.options.merge_duplicates,
        "classes": dataset.task.num_outputs if dataset.task.target == "classes" else None,
        "coverage": coverage,
        "dropped_leaks": dataset.dropped,
    }


def _size(tokenizer: BenchmarkTokenizer) -> dict[str, int | None]:
    table = tokenizer.codebook
    if table is None:
        return {"codes": None, "dim": None}
    return {"codes": len(table), "dim": table.shape[1]}


def _versions() -> dict[str, str]:
    found = {"python": python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
