"""How much of a set of structures survives encoding and decoding, compared with controls?"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from provq_protein.errors import StructureError
from provq_protein.evaluation.chain_scores import (
    METRICS,
    ChainScores,
    Estimate,
    score_chain,
    summarize,
)
from provq_protein.evaluation.controls import (
    constant_tokens,
    continuous_roundtrip,
    most_frequent_id,
    shuffled_tokens,
    untrained_twin,
)
from provq_protein.evaluation.stability import unchanged_ids
from provq_protein.model.id_decoder import IdDecoderConfig
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.sequence import TokenSequence

# Rows of a table, in the order in which they should be read.
TOKENS = "tokens"
VARIANTS = {
    TOKENS: "tokens",
    "continuous": "latents without quantization",
    "shuffled": "control: tokens shuffled within the chain",
    "constant": "control: all tokens the most frequent one",
    "untrained": "control: true tokens, untrained decoder",
}
_DIGITS = 4


class Tokenizer(Protocol):
    """Whatever turns chains into tokens and back, for instance a `StructureTokenizer`."""

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        ...

    def encode(self, inputs: Sequence[Backbone], /) -> list[TokenSequence]:
        """
        Return the tokens of each chain.

        Parameters
        ----------
        inputs : sequence of Backbone
            Chains.

        Returns
        -------
        list of TokenSequence
            One per chain.
        """
        ...

    def decode(self, tokens: Sequence[TokenSequence], /) -> list[Backbone]:
        """
        Return the chain of each token sequence.

        Parameters
        ----------
        tokens : sequence of TokenSequence
            Tokens.

        Returns
        -------
        list of Backbone
            One per token sequence.
        """
        ...


@dataclass(frozen=True)
class Usage:
    """
    How a codebook is used by the residues of a set, pooled over chains.

    Parameters
    ----------
    codebook_size : int
        Number of codes.
    tokens : int
        Number of residues with a token.
    utilization : float
        Share of the codes that occur.
    perplexity : float
        Exponential of the entropy of the codes (natural logarithm).
    normalized_perplexity : float
        `perplexity` divided by `codebook_size`.
    """

    codebook_size: int
    tokens: int
    utilization: float
    perplexity: float
    normalized_perplexity: float


@dataclass(frozen=True)
class RoundTripReport:
    """
    Scores of a set of chains after encoding and decoding, beside those of controls.

    Parameters
    ----------
    variants : mapping of str to tuple of ChainScores
        Scores per chain, by a key of `VARIANTS`. ``tokens`` is the result; the others tell
        what it is worth. ``continuous`` and ``untrained`` are absent for a tokenizer that
        is no `StructureTokenizer`.
    usage : Usage
        Of the codes.
    stability : mapping of str to float
        Share of ids that a perturbation leaves unchanged, by the names of
        `provq_protein.evaluation.stability.perturbations`.
    seed : int
        What decided controls, perturbations and bootstrap samples.
    """

    variants: Mapping[str, tuple[ChainScores, ...]]
    usage: Usage
    stability: Mapping[str, float]
    seed: int
    _summaries: dict[str, Mapping[str, Estimate]] = field(default_factory=dict, repr=False)

    @property
    def chains(self) -> tuple[ChainScores, ...]:
        """Scores of the reconstruction by tokens, one per chain."""
        return self.variants[TOKENS]

    def summary(self, variant: str = TOKENS) -> Mapping[str, Estimate]:
        """
        Summarize one variant over chains.

        Parameters
        ----------
        variant : str
            A key of `variants`.

        Returns
        -------
        mapping of str to Estimate
            By metric name.
        """
        if variant not in self._summaries:
            self._summaries[variant] = summarize(self.variants[variant], seed=self.seed)
        return self._summaries[variant]

    def to_json(self) -> dict[str, Any]:
        """
        Return the report as JSON values, rounded to four decimals.

        Returns
        -------
        dict
            ``summary`` and ``usage`` and ``stability`` as in this class; ``chains`` as a
            table with ``columns`` (``name``, ``residues``, and ``variant.metric``) and
            ``rows``.
        """
        names = [metric.name for metric in METRICS]
        columns = [f"{variant}.{name}" for variant in self.variants for name in names]
        rows = [
            [
                self.chains[row].name,
                self.chains[row].residues,
                *(
                    getattr(scores[row], name)
                    for scores in self.variants.values()
                    for name in names
                ),
            ]
            for row in range(len(self.chains))
        ]
        document = {
            "summary": {
                variant: {name: asdict(one) for name, one in self.summary(variant).items()}
                for variant in self.variants
            },
            "usage": asdict(self.usage),
            "stability": dict(self.stability),
            "seed": self.seed,
            "chains": {"columns": ["name", "residues", *columns], "rows": rows},
        }
        return _rounded(document)


def evaluate_roundtrip(
    tokenizer: Tokenizer,
    backbones: Sequence[Backbone],
    *,
    seed: int = 0,
    progress: Callable[[Sequence[Backbone]], Iterable[Backbone]] | None = None,
) -> RoundTripReport:
    """
    Encode and decode chains, and measure what is left of them.

    Parameters
    ----------
    tokenizer : Tokenizer
        For a `StructureTokenizer`, an untrained decoder and the reconstruction without
        quantization are measured too.
    backbones : sequence of Backbone
        Chains with at least one resolved residue each.
    seed : int
        Decides controls, perturbations and bootstrap samples.
    progress : callable, optional
        Wraps the chains while they are worked through, as ``rich.progress.track`` does.

    Returns
    -------
    RoundTripReport
        Scores, controls, code usage and stability.

    Raises
    ------
    StructureError
        If there is no chain, or one of them cannot be encoded.

    Notes
    -----
    Code usage is pooled over the whole set; means over batches depend on the batch size.
    """
    if not backbones:
        msg = "there is no chain to evaluate"
        raise StructureError(msg)
    tokens = tokenizer.encode(backbones)
    usage = _usage(tokens, tokenizer.codebook_size)
    rebuild = _rebuilder(tokenizer, common=most_frequent_id(tokens), seed=seed)
    scores: dict[str, list[ChainScores]] = {}
    unchanged: Counter[str] = Counter()
    watched = backbones if progress is None else progress(backbones)
    for row, (chain, encoded) in enumerate(zip(watched, tokens, strict=True)):
        for variant, rebuilt in rebuild(chain, encoded, (seed, row)).items():
            scores.setdefault(variant, []).append(score_chain(chain, rebuilt))
        unchanged.update(unchanged_ids(tokenizer, chain, encoded, seed=(seed, row)))
    return RoundTripReport(
        variants={name: tuple(scores[name]) for name in VARIANTS if name in scores},
        usage=usage,
        stability={name: count / usage.tokens for name, count in unchanged.items()},
        seed=seed,
    )


def _rebuilder(
    tokenizer: Tokenizer, *, common: int, seed: int
) -> Callable[[Backbone, TokenSequence, Sequence[int]], dict[str, Backbone]]:
    """Return a function that reconstructs a chain in every way that the tokenizer allows."""

    def from_tokens(
        chain: Backbone, tokens: TokenSequence, chain_seed: Sequence[int]
    ) -> dict[str, Backbone]:
        inputs = {
            TOKENS: tokens,
            "shuffled": shuffled_tokens(tokens, seed=chain_seed),
            "constant": constant_tokens(tokens, common),
        }
        return dict(zip(inputs, tokenizer.decode(list(inputs.values())), strict=True))

    if not isinstance(tokenizer, StructureTokenizer):
        return from_tokens
    twin = untrained_twin(tokenizer, seed)
    takes_latents = not isinstance(tokenizer.model.config.decoder, IdDecoderConfig)

    def from_everything(
        chain: Backbone, tokens: TokenSequence, chain_seed: Sequence[int]
    ) -> dict[str, Backbone]:
        rebuilt = from_tokens(chain, tokens, chain_seed)
        if takes_latents:
            rebuilt["continuous"] = continuous_roundtrip(tokenizer, chain)
        rebuilt["untrained"] = twin.decode([tokens])[0]
        return rebuilt

    return from_everything


def _usage(tokens: Sequence[TokenSequence], codebook_size: int) -> Usage:
    usage = CodeUsage(codebook_size)
    for chain in tokens:
        usage.add(torch.tensor(chain.ids[chain.resolved], dtype=torch.int64))
    return Usage(
        codebook_size=codebook_size,
        tokens=sum(int(chain.resolved.sum()) for chain in tokens),
        utilization=usage.utilization,
        perplexity=usage.perplexity,
        normalized_perplexity=usage.normalized_perplexity,
    )


def _rounded(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        # JSON has no NaN.
        return None if math.isnan(value) else round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
