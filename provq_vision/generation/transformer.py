"""Which token comes next in an image of a class?"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.runs.shapes import shapes_of
from provq_vision.generation.cache import KeyValueCache
from provq_vision.generation.config import GptConfig
from provq_vision.generation.layers import Block
from provq_vision.generation.rotary import Turns, grid_turns

_INITIAL_SPREAD = 0.02


class ClassEmbedding(nn.Module):
    """
    One vector per class, and one for "no class".

    Parameters
    ----------
    config : GptConfig
        Sizes.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(config.num_classes + 1, config.dim)

    def forward(self, labels: Tensor) -> Tensor:
        """
        Return the vectors of classes.

        Parameters
        ----------
        labels : Tensor, shape=(batch,), dtype=int64
            Class ids.

        Returns
        -------
        Tensor, shape=(batch, dim), dtype=float
            Vectors.
        """
        return self.embedding_table(labels)


class Gpt(nn.Module):
    """
    Class-conditional autoregressive model of image tokens (that of LlamaGen).

    Parameters
    ----------
    config : GptConfig
        Sizes.

    Notes
    -----
    The sequence of an image is its class, then its tokens row by row; each position predicts
    the next token. With a class dropout of p, training replaces the class by "no class" in a
    fraction p of the images, from which sampling with guidance gets its unconditional side.

    Weights start as N(0, 0.02), those of the output as 0, so that an untrained model gives all
    codes the same probability.

    References
    ----------
    .. [1] Sun et al., "Autoregressive model beats diffusion: Llama for scalable image generation"
       (LlamaGen), arXiv:2406.06525.
    .. [2] Touvron et al., "Llama 2: open foundation and fine-tuned chat models",
       arXiv:2307.09288.

    Examples
    --------
    >>> from provq_vision.generation.config import GPTS
    >>> model = Gpt.build(GPTS["mini"])
    >>> model(torch.tensor([3]), torch.zeros(1, 8, 8, dtype=torch.int64)).shape
    torch.Size([1, 64, 512])
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_embedding = ClassEmbedding(config)
        self.tok_embeddings = nn.Embedding(config.vocabulary, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.dim, eps=config.norm_epsilon)
        self.output = nn.Linear(config.dim, config.vocabulary, bias=False)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=_INITIAL_SPREAD)
        nn.init.zeros_(self.output.weight)

    @classmethod
    def build(cls, config: GptConfig, *, seed: int = 0) -> "Gpt":
        """
        Build a model with fresh weights, in eval mode.

        Parameters
        ----------
        config : GptConfig
            Sizes.
        seed : int
            Decides the weights; the global random state is left as it was.

        Returns
        -------
        Gpt
            An untrained model.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config).eval()

    @classmethod
    def shapes(cls, config: GptConfig) -> dict[str, torch.Size]:
        """
        Return the names and shapes of the tensors of a model, without making them.

        Parameters
        ----------
        config : GptConfig
            Sizes.

        Returns
        -------
        dict of str to torch.Size
            Of its state dict.

        Examples
        --------
        >>> from provq_vision.generation.config import GPTS
        >>> sum(shape.numel() for shape in Gpt.shapes(GPTS["B"]).values())
        110888448
        """
        return shapes_of(lambda: cls(config))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.output.weight.device

    def forward(
        self, labels: Tensor, tokens: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Return the logits of all tokens, each given the class and the tokens before it.

        Parameters
        ----------
        labels : Tensor, shape=(batch,), dtype=int64
            Class ids; `GptConfig.null_class` for none.
        tokens : Tensor, shape=(batch, row, column), dtype=int
            The images. The last token is predicted only, and never seen.
        generator : torch.Generator, optional
            On the CPU; decides in training whose class is dropped. By default the global one of
            the CPU, which together with that of the device decides the other dropout.

        Returns
        -------
        Tensor, shape=(batch, row * column, vocabulary), dtype=float32
            Unnormalized log probabilities.

        Raises
        ------
        ValueError
            If the shapes do not fit, or an id is out of range.
        """
        self._check(labels, tokens)
        classes = self.cls_embedding(self.drop_classes(labels, generator))
        seen = self.tok_embeddings(tokens.flatten(1)[:, :-1].long())
        features = torch.cat([classes.unsqueeze(1), seen], dim=1)
        return self._logits(features, self.turns().at(0, self.config.tokens))

    def loss(
        self, labels: Tensor, tokens: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Return the mean negative log likelihood of the tokens.

        Parameters
        ----------
        labels : Tensor, shape=(batch,), dtype=int64
            As `forward`.
        tokens : Tensor, shape=(batch, row, column), dtype=int
            As `forward`.
        generator : torch.Generator, optional
            As `forward`.

        Returns
        -------
        Tensor, shape=(), dtype=float32
            In nats per token.

        Raises
        ------
        ValueError
            If the shapes do not fit, or an id is out of range.
        """
        logits = self(labels, tokens, generator=generator)
        return functional.cross_entropy(logits.flatten(0, 1), tokens.flatten().long())

    def drop_classes(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """
        Replace some classes by "no class", in training mode.

        Parameters
        ----------
        labels : Tensor, shape=(batch,), dtype=int64
            Class ids.
        generator : torch.Generator, optional
            On the CPU; by default the global one.

        Returns
        -------
        Tensor, shape=(batch,), dtype=int64
            Class ids; `labels` itself in eval mode or without class dropout.
        """
        if not self.training or self.config.class_dropout == 0.0:
            return labels
        # Drawn on the CPU, so that every device drops the same ones.
        drawn = torch.rand(len(labels), generator=generator, device="cpu")
        return labels.masked_fill(
            (drawn < self.config.class_dropout).to(labels.device), self.config.null_class
        )

    def new_cache(self) -> KeyValueCache:
        """
        Return an empty cache for `next_logits`.

        Returns
        -------
        KeyValueCache
            For images of one batch.
        """
        return KeyValueCache(self.config.layers, self.config.tokens)

    def turns(self) -> Turns:
        """
        Return the rotary positions of the class and all tokens.

        Returns
        -------
        Turns
            In float32 whatever the precision of the weights; no part of the state.
        """
        config = self.config
        return grid_turns(config.grid, config.head_dim, base=config.rope_base, device=self.device)

    def next_logits(self, ids: Tensor, cache: KeyValueCache, turns: Turns | None = None) -> Tensor:
        """
        Return the logits of the next token of each image.

        Parameters
        ----------
        ids : Tensor, shape=(batch,), dtype=int64
            Class ids with an empty cache, then the latest token.
        cache : KeyValueCache
            What came before; the new position is added.
        turns : Turns, optional
            What `turns` returns, for callers in a loop.

        Returns
        -------
        Tensor, shape=(batch, vocabulary), dtype=float32
            As `forward` gives them, to rounding.

        Raises
        ------
        ValueError
            If the image is complete, or the batch of the cache is of another size.
        """
        position = cache.length
        embed = self.tok_embeddings if position else self.cls_embedding
        here = (self.turns() if turns is None else turns).at(position, position + 1)
        return self._logits(embed(ids).unsqueeze(1), here, cache)[:, 0]

    def _logits(self, features: Tensor, turns: Turns, cache: KeyValueCache | None = None) -> Tensor:
        features = self.dropout(features)
        kept = (None,) * len(self.layers) if cache is None else cache.layers
        for block, own in zip(self.layers, kept, strict=True):
            features = block(features, turns, own)
        return self.output(self.norm(features)).float()

    def _check(self, labels: Tensor, tokens: Tensor) -> None:
        side = self.config.grid
        if tokens.shape[1:] != (side, side) or tokens.dtype.is_floating_point:
            msg = (
                f"tokens: expected integers of shape (batch, {side}, {side}), got {tokens.dtype} "
                f"of {tuple(tokens.shape)}"
            )
            raise ValueError(msg)
        if labels.shape != tokens.shape[:1] or labels.dtype != torch.int64:
            msg = (
                f"labels: expected int64 of shape ({len(tokens)},), one per image, got "
                f"{labels.dtype} of {tuple(labels.shape)}"
            )
            raise ValueError(msg)
        # A GPU would stop the whole process at an id that has no embedding.
        _check_range("tokens", tokens, self.config.vocabulary, "codes")
        _check_range("labels", labels, self.config.num_classes + 1, "classes, 'no class' included")


def _check_range(name: str, ids: Tensor, count: int, what: str) -> None:
    wrong = ids[(ids < 0) | (ids >= count)]
    if len(wrong):
        msg = f"{name}: {int(wrong[0])} is out of range; the model has {count} {what}"
        raise ValueError(msg)
