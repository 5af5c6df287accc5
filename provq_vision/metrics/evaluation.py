"""How good is an image tokenizer on a set of images?"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_protein.runs.resuming import surroundings
from provq_vision.images.batches import center_batches
from provq_vision.images.crops import to_bytes, to_floats
from provq_vision.images.listing import ImageSet
from provq_vision.metrics.extractors import FeatureExtractor
from provq_vision.metrics.frechet import SMALLEST_SET, FeatureSums, frechet_distance
from provq_vision.metrics.meters import GROUP, CodeMeter, FidelityMeter, Regrouper
from provq_vision.metrics.record import Evaluation, FrechetScore, Setting
from provq_vision.model.autoencoder import ImageAutoencoder

# Of the windows of SSIM.
_SMALLEST = 7

Progress = Callable[[int], None]


def evaluate(
    model: ImageAutoencoder,
    images: ImageSet,
    *,
    size: int,
    eval_size: int | None = None,
    batch_size: int = GROUP,
    extractor: FeatureExtractor | None = None,
    reference: ImageSet | FeatureSums | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """
    Measure reconstructions of a set of images, and the use of the codes.

    Parameters
    ----------
    model : ImageAutoencoder
        Measured where its weights are; quantization is hard, whatever mode it is in.
    images : ImageSet
        The originals. Those that cannot be read are left out, and listed in the result.
    size : int
        Sides in pixels of the center crops that the model gets; a multiple of its downsampling.
    eval_size : int, optional
        Sides in pixels at which originals and reconstructions are compared, by default `size`.
        Both are resized where it is another: bicubic without antialiasing, as in LlamaGen's
        evaluation of 384-pixel images at 256.
    batch_size : int
        Images in the networks at once. Results do not depend on it, but for what a network makes
        of another batch size in the last digit of a single-precision number.
    extractor : FeatureExtractor, optional
        Features for a Frechet distance; see `make_extractor`.
    reference : ImageSet or FeatureSums, optional
        What the reconstructions are compared with as a set; by default the originals themselves.
        Images are cropped and resized as the originals.
    progress : callable, optional
        Called with the number of images that were done since its last call.

    Returns
    -------
    Evaluation
        All numbers, and what they were measured on.

    Raises
    ------
    ConfigError
        If a size is impossible, or a reference is given without an extractor or is from another.
    ImageError
        If no image can be read, or fewer than two where a Frechet distance is asked for.
    CheckpointError
        If the model returns values that are not finite.

    Notes
    -----
    Memory does not grow with the number of images, but for three numbers of each. Perplexities of
    groups are those of 64 images in the order of the set, whatever `batch_size` is; an incomplete
    last group is left out, unless it is the only one.
    """
    compared = size if eval_size is None else eval_size
    _check_sizes(model, size, compared, batch_size)
    frechet = _Frechet(extractor, reference, images, _view(size, compared))
    report = progress or _silent
    if isinstance(reference, ImageSet) and extractor is not None:
        frechet.measure_reference(
            reference, extractor, size=size, eval_size=compared, batch_size=batch_size
        )
    codes, fidelity, problems = (
        CodeMeter(model.quantizer.codebook),
        FidelityMeter(),
        list(frechet.problems),
    )
    was_training = model.training
    model.eval()
    try:
        for batch in center_batches(images, size=size, batch_size=batch_size):
            problems += [(problem.name, problem.reason) for problem in batch.problems]
            passed = _pass(model, batch.images, compared)
            codes.add(passed.indices, passed.lengths)
            fidelity.add(passed.outputs, passed.targets)
            frechet.add(passed.outputs, passed.targets)
            report(len(batch.images) + len(batch.problems))
    finally:
        model.train(was_training)
    unreadable = len(problems) - len(frechet.problems)
    return Evaluation(
        setting=_setting(model, images, (size, compared), fidelity.count, unreadable),
        fidelity=fidelity.score(),
        frechet=frechet.score(),
        codes=codes.scores(),
        latent_norm=codes.latent_norm,
        problems=tuple(problems),
    )


def feature_sums(
    images: ImageSet,
    *,
    extractor: FeatureExtractor,
    size: int,
    eval_size: int | None = None,
    batch_size: int = GROUP,
    problems: list[tuple[str, str]] | None = None,
) -> FeatureSums:
    """
    Return the sums of features of a set of images, to be a reference.

    Parameters
    ----------
    images : ImageSet
        The set.
    extractor : FeatureExtractor
        The network.
    size : int
        Sides in pixels of the center crops.
    eval_size : int, optional
        Sides in pixels to which crops are resized, as in `evaluate`.
    batch_size : int
        Images in the network at once.
    problems : list of tuple of str, optional
        Gets name and reason of each image that cannot be read.

    Returns
    -------
    FeatureSums
        They can be saved, and used again.

    Raises
    ------
    ImageError
        If no image can be read.
    ConfigError
        If a size is impossible.
    """
    compared = size if eval_size is None else eval_size
    sums = _empty_sums(extractor, images, _view(size, compared))
    grouped = Regrouper(sums.add)
    for batch in center_batches(images, size=size, batch_size=batch_size):
        grouped.add(extractor(_resized_bytes(batch.images, compared)).cpu())
        if problems is not None:
            problems += [(problem.name, problem.reason) for problem in batch.problems]
    sums.add(grouped.rest())
    return sums


class _Passed(NamedTuple):
    """What one batch is measured by."""

    targets: Tensor
    outputs: Tensor
    indices: Tensor
    lengths: Tensor


@torch.no_grad()
def _pass(model: ImageAutoencoder, images: Tensor, eval_size: int) -> _Passed:
    """Send a batch of bytes through the model, by way of its tokens."""
    device = next(model.parameters()).device
    try:
        latents = model.embed(to_floats(images.to(device)))
        indices = model.quantizer.encode(latents)
    except ValueError as error:
        msg = f"the model cannot encode these images: {error}"
        raise CheckpointError(msg) from error
    outputs = model.decode(indices)
    if not bool(outputs.isfinite().all()):
        msg = "the decoder of the model returns values that are not finite; its weights are broken"
        raise CheckpointError(msg)
    lengths = torch.linalg.vector_norm(latents.double(), dim=-1).mean(dim=(1, 2))
    return _Passed(
        targets=_resized_bytes(images.to(device), eval_size),
        outputs=to_bytes(_resized(outputs, eval_size)),
        indices=indices.cpu(),
        lengths=lengths.cpu(),
    )


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[2:] == (size, size):
        return images
    return functional.interpolate(images, size=(size, size), mode="bicubic", align_corners=False)


def _resized_bytes(images: Tensor, size: int) -> Tensor:
    if images.shape[2:] == (size, size):
        return images
    return to_bytes(_resized(to_floats(images), size))


class _Frechet:
    """Features of reconstructions, and of the reference; nothing without an extractor."""

    def __init__(
        self,
        extractor: FeatureExtractor | None,
        reference: ImageSet | FeatureSums | None,
        images: ImageSet,
        view: str,
    ) -> None:
        self.problems: list[tuple[str, str]] = []
        self._extractor = extractor
        self._is_paired = reference is None
        if extractor is None:
            if reference is not None:
                msg = "a reference set is of use with a feature extractor only; name one"
                raise ConfigError(msg)
            return
        self._outputs = _empty_sums(extractor, images, view)
        self._reference = _empty_sums(extractor, images, view)
        if isinstance(reference, FeatureSums):
            self._outputs.check_same_extractor(reference)
            self._take_reference(reference)
        self._grouped_outputs = Regrouper(self._outputs.add)
        self._grouped_targets = Regrouper(self._reference.add)

    def measure_reference(
        self,
        reference: ImageSet,
        extractor: FeatureExtractor,
        *,
        size: int,
        eval_size: int,
        batch_size: int,
    ) -> None:
        sums = feature_sums(
            reference,
            extractor=extractor,
            size=size,
            eval_size=eval_size,
            batch_size=batch_size,
            problems=self.problems,
        )
        self._take_reference(sums)

    def _take_reference(self, sums: FeatureSums) -> None:
        # Now, not after the images have been measured.
        if sums.count < SMALLEST_SET:
            msg = (
                f"the reference set has {sums.count} readable images; a Frechet distance needs "
                f"{SMALLEST_SET} or more"
            )
            raise ImageError(msg)
        self._reference = sums

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        if self._extractor is None:
            return
        self._grouped_outputs.add(self._extractor(outputs).cpu())
        if self._is_paired:
            self._grouped_targets.add(self._extractor(targets).cpu())

    def score(self) -> FrechetScore | None:
        if self._extractor is None:
            return None
        self._outputs.add(self._grouped_outputs.rest())
        if self._is_paired:
            self._reference.add(self._grouped_targets.rest())
        return FrechetScore(
            rfid=frechet_distance(self._outputs, self._reference),
            extractor=self._extractor.id,
            weights_sha256=self._extractor.weights_sha256,
            reference=self._reference.images_id,
            is_paired=self._is_paired,
            n_images=self._outputs.count,
            n_reference=self._reference.count,
        )


def _empty_sums(extractor: FeatureExtractor, images: ImageSet, view: str) -> FeatureSums:
    return FeatureSums(
        extractor.dim,
        extractor=extractor.id,
        weights_sha256=extractor.weights_sha256,
        images_id=f"{images.content_hash()}/{view}",
    )


def _view(size: int, eval_size: int) -> str:
    return f"center-{size}" if size == eval_size else f"center-{size}-bicubic-{eval_size}"


def _check_sizes(model: ImageAutoencoder, size: int, eval_size: int, batch_size: int) -> None:
    factor = model.config.network.downsampling
    if size < 1 or size % factor:
        near = max(factor, round(size / factor) * factor)
        msg = (
            f"size: expected a multiple of the model's downsampling ({factor}), got {size}; "
            f"try {near}"
        )
        raise ConfigError(msg)
    if eval_size < _SMALLEST:
        msg = f"eval_size: expected {_SMALLEST} or more (the window of SSIM), got {eval_size}"
        raise ConfigError(msg)
    if batch_size < 1:
        msg = f"batch_size: expected 1 or more, got {batch_size}"
        raise ConfigError(msg)


def _setting(
    model: ImageAutoencoder, images: ImageSet, sizes: tuple[int, int], count: int, unreadable: int
) -> Setting:
    size, eval_size = sizes
    rows = size // model.config.network.downsampling
    versions = surroundings()["versions"]
    return Setting(
        model=model.fingerprint(),
        codebook_size=model.quantizer.codebook.size,
        images=images.content_hash(),
        n_images=count,
        n_unreadable=unreadable,
        size=size,
        eval_size=eval_size,
        token_rows=rows,
        token_columns=rows,
        provq=versions["provq"],
        torch=versions["torch"],
    )


def _silent(done: int) -> None:
    del done
