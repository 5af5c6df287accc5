"""What does a network see in a whole set of images?"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_vision.images.listing import ImageSet
from provq_vision.metrics.extractors import SampleExtractor
from provq_vision.metrics.frechet import FeatureSums
from provq_vision.metrics.generation.samples import Samples, sample_batches, spread
from provq_vision.metrics.meters import GROUP, Regrouper
from provq_vision.metrics.perceived import Perceived

Progress = Callable[[int], None]


class SetFeatures(NamedTuple):
    """
    What one pass over a set of images leaves.

    Parameters
    ----------
    pooled : FeatureSums
        Of the pooled features of all images.
    spatial : FeatureSums
        Of the spatial features of all images.
    rows : Tensor, shape=(row, dim), dtype=float32
        Pooled features of the images that are kept one by one.
    logits : Tensor, shape=(row, class), dtype=float32
        Of the same images.
    problems : tuple of tuple of str
        Name and reason, of images that could not be read.
    """

    pooled: FeatureSums
    spatial: FeatureSums
    rows: Tensor
    logits: Tensor
    problems: tuple[tuple[str, str], ...]


def set_features(
    samples: Samples,
    *,
    extractor: SampleExtractor,
    size: int,
    most_rows: int | None = None,
    batch_size: int = GROUP,
    progress: Progress | None = None,
) -> SetFeatures:
    """
    Send all images of a set through a network, once.

    Parameters
    ----------
    samples : ImageSet or SampleFiles
        The set.
    extractor : SampleExtractor
        The network.
    size : int
        Sides in pixels: images of a set are center-cropped, those of files must have them.
    most_rows : int, optional
        Keep the rows of so many images, spread evenly over the set; by default of all.
    batch_size : int
        Images in the network at once. Sums do not depend on it, but for what a network makes of
        another batch size in the last digit of a single-precision number.
    progress : callable, optional
        Called with the number of images that were done since its last call.

    Returns
    -------
    SetFeatures
        Rows are where the network computes, sums on the CPU.

    Raises
    ------
    ImageError
        If no image can be read, or images have another size.
    ConfigError
        If a number is impossible.
    CheckpointError
        If the network returns values that are not finite, or of another shape than it says.
    """
    pooled, spatial = empty_sums(extractor, images_id(samples, size))
    groups = (Regrouper(pooled.add), Regrouper(spatial.add))
    kept: list[Tensor] = []
    logits: list[Tensor] = []
    problems: list[tuple[str, str]] = []
    chosen = torch.from_numpy(spread(len(samples), most_rows or len(samples)))
    for batch in sample_batches(samples, size=size, batch_size=batch_size):
        seen = extractor.perceive(batch.images)
        _check(seen, extractor)
        for group, features in zip(groups, (seen.pooled, seen.spatial), strict=True):
            group.add(features.cpu())
        is_kept = torch.isin(batch.positions, chosen).to(seen.pooled.device)
        kept.append(seen.pooled[is_kept].float())
        logits.append(seen.logits[is_kept].float())
        problems += batch.problems
        if progress is not None:
            progress(len(batch.images) + len(batch.problems))
    for group, sums in zip(groups, (pooled, spatial), strict=True):
        sums.add(group.rest())
    return SetFeatures(pooled, spatial, torch.cat(kept), torch.cat(logits), tuple(problems))


def empty_sums(extractor: SampleExtractor, images: str) -> tuple[FeatureSums, FeatureSums]:
    """
    Return sums of no image, of pooled and of spatial features.

    Parameters
    ----------
    extractor : SampleExtractor
        What the features will be from.
    images : str
        Which images.

    Returns
    -------
    tuple of FeatureSums
        Of pooled and of spatial features.
    """
    weights = extractor.weights_sha256
    return (
        FeatureSums(
            extractor.dim, extractor=extractor.id, weights_sha256=weights, images_id=images
        ),
        FeatureSums(
            extractor.spatial_dim,
            extractor=extractor.spatial_id,
            weights_sha256=weights,
            images_id=images,
        ),
    )


def images_id(samples: Samples, size: int) -> str:
    """
    Return which images are measured, cropped how.

    Parameters
    ----------
    samples : ImageSet or SampleFiles
        The set.
    size : int
        Sides in pixels.

    Returns
    -------
    str
        Starts with the set's hash.
    """
    view = "center" if isinstance(samples, ImageSet) else "pixels"
    return f"{samples.content_hash()}/{view}-{size}"


def _check(seen: Perceived, extractor: SampleExtractor) -> None:
    shapes = (seen.pooled.shape[1:], seen.spatial.shape[1:])
    expected = ((extractor.dim,), (extractor.spatial_dim,))
    if shapes != expected:
        msg = f"{extractor.id}: features of shapes {shapes}, expected {expected}"
        raise CheckpointError(msg)
    if not all(bool(each.isfinite().all()) for each in seen):
        msg = f"{extractor.id}: returns values that are not finite; its weights are broken"
        raise CheckpointError(msg)
