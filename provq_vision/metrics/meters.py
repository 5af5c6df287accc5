"""What is kept of each batch, so that an evaluation does not depend on how images are batched?"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from provq_protein.errors import ImageError
from provq_protein.quantize import AbstractCodebook, BatchUsage, CodeUsage, mean_code_distance
from provq_vision.metrics.fidelity import psnr, ssim, ssim_llamagen
from provq_vision.metrics.record import CodeScore, Fidelity

# Papers print mean perplexities of batches of so many images.
GROUP = 64


class Regrouper:
    """
    Hand rows on in groups of 64, whatever batches they come in.

    Parameters
    ----------
    consume : callable
        Gets each complete group, a tensor of 64 rows.

    Attributes
    ----------
    groups : int
        Complete groups so far.
    """

    def __init__(self, consume: Callable[[Tensor], None]) -> None:
        self._consume = consume
        self._held: Tensor | None = None
        self.groups = 0

    def add(self, rows: Tensor) -> None:
        """
        Take more rows.

        Parameters
        ----------
        rows : Tensor, shape=(batch, ...)
            One per image.
        """
        held = rows if self._held is None else torch.cat([self._held, rows])
        while len(held) >= GROUP:
            self._consume(held[:GROUP])
            self.groups += 1
            held = held[GROUP:]
        # A copy: a view would keep the whole batch.
        self._held = held.clone()

    def rest(self) -> Tensor:
        """
        Return the rows of the incomplete last group.

        Returns
        -------
        Tensor, shape=(row, ...)
            There may be none.

        Raises
        ------
        ImageError
            If there were no rows at all.
        """
        if self._held is None:
            msg = "no image was measured"
            raise ImageError(msg)
        return self._held


class FidelityMeter:
    """
    Values of each image, averaged at the end with a single rounding.

    Examples
    --------
    >>> meter = FidelityMeter()
    >>> black = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    >>> meter.add(black, black)
    >>> meter.score()
    Fidelity(psnr=None, n_identical=2, ssim=1.0, ssim_llamagen=1.0)
    """

    def __init__(self) -> None:
        self._psnr: list[float] = []
        self._ssim: list[float] = []
        self._ssim_llamagen: list[float] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """
        Measure a batch.

        Parameters
        ----------
        outputs : Tensor, shape=(batch, 3, height, width), dtype=uint8
            Reconstructions.
        targets : Tensor, shape=(batch, 3, height, width), dtype=uint8
            Originals.
        """
        self._psnr += psnr(outputs, targets).tolist()
        self._ssim += ssim(outputs, targets).tolist()
        self._ssim_llamagen += ssim_llamagen(outputs, targets).tolist()

    @property
    def count(self) -> int:
        """Number of images measured."""
        return len(self._psnr)

    def score(self) -> Fidelity:
        """
        Return the means over all images.

        Returns
        -------
        Fidelity
            Of one image or more.
        """
        finite = [value for value in self._psnr if math.isfinite(value)]
        return Fidelity(
            psnr=_mean(finite) if finite else None,
            n_identical=len(self._psnr) - len(finite),
            ssim=_mean(self._ssim),
            ssim_llamagen=_mean(self._ssim_llamagen),
        )


class CodeMeter:
    """
    Use of the codes, level by level, and lengths of latents.

    Parameters
    ----------
    book : AbstractCodebook
        The codebook that the tokens are from.
    """

    def __init__(self, book: AbstractCodebook) -> None:
        self._book = book
        levels = math.prod(book.index_shape)
        self._pooled = [CodeUsage(book.size) for _ in range(levels)]
        self._grouped = [BatchUsage(book.size) for _ in range(levels)]
        self._groups = Regrouper(self._add_group)
        self._lengths: list[float] = []

    def add(self, indices: Tensor, lengths: Tensor) -> None:
        """
        Count the tokens of a batch.

        Parameters
        ----------
        indices : Tensor, shape=(batch, row, column, *index_shape), dtype=int64
            Indices of codes.
        lengths : Tensor, shape=(batch,), dtype=float64
            Mean length of the latents of each image, before quantization.
        """
        tokens = indices.cpu().reshape(len(indices), -1, len(self._pooled))
        for level, usage in enumerate(self._pooled):
            usage.add(tokens[..., level])
        self._groups.add(tokens)
        self._lengths += lengths.tolist()

    def _add_group(self, tokens: Tensor) -> None:
        for level, usage in enumerate(self._grouped):
            usage.add(tokens[..., level])

    @property
    def latent_norm(self) -> float:
        """Mean length of all latents."""
        return _mean(self._lengths)

    def scores(self) -> tuple[CodeScore, ...]:
        """
        Return the use and the spread of the codes, to be called once at the end.

        Returns
        -------
        tuple of CodeScore
            One per level.
        """
        if not self._groups.groups:
            self._add_group(self._groups.rest())
        shape = (len(self._pooled), self._book.size, -1)
        codes = self._book.codes().detach().reshape(shape)
        raw = self._book.raw_codes().reshape(shape)
        levels = zip(self._pooled, self._grouped, codes, raw, strict=True)
        return tuple(_code_score(*level) for level in levels)


def _code_score(pooled: CodeUsage, grouped: BatchUsage, codes: Tensor, raw: Tensor) -> CodeScore:
    distance, distance_raw = mean_code_distance(codes), mean_code_distance(raw)
    # Each code is a pair with itself, at distance 0.
    share = (len(codes) - 1) / len(codes)
    return CodeScore(
        n_tokens=pooled.total,
        perplexity=pooled.perplexity,
        utilization=pooled.utilization,
        group_perplexity=grouped.batch_perplexity,
        group_utilization=grouped.batch_utilization,
        n_groups=grouped.batches,
        tokens_per_group=grouped.latents_per_batch,
        distance=distance,
        distance_raw=distance_raw,
        distance_with_diagonal=distance * share,
        distance_raw_with_diagonal=distance_raw * share,
    )


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
