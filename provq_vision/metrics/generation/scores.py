"""How good are generated images, against real ones?"""

from provq_protein.errors import ConfigError, ImageError
from provq_protein.runs.resuming import surroundings
from provq_vision.images.listing import ImageSet
from provq_vision.metrics.extractors import SampleExtractor
from provq_vision.metrics.frechet import frechet_distance
from provq_vision.metrics.generation.features import Progress, SetFeatures, set_features
from provq_vision.metrics.generation.inception_score import inception_score
from provq_vision.metrics.generation.neighborhoods import NEIGHBORS, precision_recall
from provq_vision.metrics.generation.record import SampleScores, SampleSetting
from provq_vision.metrics.generation.reference import (
    Reference,
    ReferenceSource,
    measure_reference,
)
from provq_vision.metrics.generation.samples import Samples
from provq_vision.metrics.generation.statistics import StoredStatistics
from provq_vision.metrics.meters import GROUP


def evaluate_samples(
    samples: Samples,
    reference: ReferenceSource,
    *,
    extractor: SampleExtractor,
    size: int | None = None,
    batch_size: int = GROUP,
    progress: Progress | None = None,
) -> SampleScores:
    """
    Compare generated images with real ones, as sets.

    Parameters
    ----------
    samples : ImageSet or SampleFiles
        The generated images (`open_samples`, `open_images`). Those that cannot be read are left
        out, and listed in the result.
    reference : ImageSet, SampleFiles, StoredStatistics or Reference
        The real images (`open_reference`), or what a network saw in them.
    extractor : SampleExtractor
        The network; see `make_extractor`.
    size : int, optional
        Sides in pixels at which both are compared; by default those of the samples, or of the
        reference where samples are image files. Images of a set are center-cropped to it.
    batch_size : int
        Images in the network at once. Results do not depend on it, but for what a network makes
        of another batch size in the last digit of a single-precision number.
    progress : callable, optional
        Called with the number of images that were done since its last call.

    Returns
    -------
    SampleScores
        All numbers, and what they were measured on.

    Raises
    ------
    ImageError
        If no image can be read, a set has 3 images or fewer, or images have different sizes.
    ConfigError
        If the reference is from another extractor, or no size is known.
    CheckpointError
        If the network returns values that are not finite.

    Notes
    -----
    Of the samples, features and logits are kept in memory, some 12 kB each; of the reference, the
    features of 10,000 images spread evenly over it, around which neighborhoods are taken.
    """
    size = common_size(samples, reference, size)
    if not isinstance(reference, Reference):
        reference = measure_reference(
            reference, extractor=extractor, size=size, batch_size=batch_size, progress=progress
        )
    _check_reference(reference, extractor, size)
    seen = set_features(
        samples, extractor=extractor, size=size, batch_size=batch_size, progress=progress
    )
    near = None
    if reference.rows is not None:
        near = precision_recall(seen.rows, reference.rows.to(seen.rows.device))
    return SampleScores(
        setting=_setting(seen, reference, extractor, size),
        fid=frechet_distance(seen.pooled, reference.pooled),
        sfid=frechet_distance(seen.spatial, reference.spatial),
        inception_score=inception_score(seen.logits),
        precision=None if near is None else near.precision,
        recall=None if near is None else near.recall,
        problems=(*reference.problems, *seen.problems),
    )


def common_size(samples: Samples, reference: ReferenceSource, size: int | None) -> int:
    """
    Return the sides in pixels at which samples and reference can be compared.

    Parameters
    ----------
    samples : ImageSet or SampleFiles
        The generated images.
    reference : ImageSet, SampleFiles, StoredStatistics or Reference
        The real images.
    size : int, optional
        What a user asks for.

    Returns
    -------
    int
        What was asked for, or that of the samples, or of the reference.

    Raises
    ------
    ConfigError
        If it is impossible, or none is asked for and both are image files, which are cropped to
        any.
    """
    found = [size] if size is not None else [_own_size(each) for each in (samples, reference)]
    chosen = next((each for each in found if each is not None), None)
    if chosen is None:
        msg = "size: samples and reference are image files; say to which size both are cropped"
        raise ConfigError(msg)
    if chosen < 1:
        msg = f"size: expected 1 or more, got {chosen}"
        raise ConfigError(msg)
    return chosen


def _own_size(source: ReferenceSource) -> int | None:
    if isinstance(source, ImageSet):
        return None
    if isinstance(source, StoredStatistics):
        return None if source.images is None else source.images.size
    return source.size


def _check_reference(reference: Reference, extractor: SampleExtractor, size: int) -> None:
    # Now, not after the samples have been measured.
    reference.check_extractor(extractor)
    if reference.size not in (None, size):
        msg = (
            f"the reference was measured at {reference.size} x {reference.size} pixels, samples "
            f"are at {size} x {size}; distances of other sizes cannot be compared"
        )
        raise ImageError(msg)
    if reference.rows is not None and len(reference.rows) <= NEIGHBORS:
        msg = (
            f"the reference has {len(reference.rows)} readable images; neighborhoods of "
            f"{NEIGHBORS} need {NEIGHBORS + 1} or more"
        )
        raise ImageError(msg)


def _setting(
    seen: SetFeatures, reference: Reference, extractor: SampleExtractor, size: int
) -> SampleSetting:
    versions = surroundings()["versions"]
    return SampleSetting(
        samples=seen.pooled.images_id,
        n_samples=seen.pooled.count,
        n_unreadable=len(seen.problems),
        size=size,
        reference=reference.pooled.images_id,
        n_reference=reference.n_images,
        n_reference_rows=0 if reference.rows is None else len(reference.rows),
        extractor=extractor.id,
        spatial_extractor=extractor.spatial_id,
        weights_sha256=extractor.weights_sha256,
        neighbors=NEIGHBORS,
        provq=versions["provq"],
        torch=versions["torch"],
    )
