"""What are the features of the originals, computed once for all runs?"""

import hashlib
from pathlib import Path

from provq_protein.errors import CheckpointError
from provq_vision.images.listing import ImageSet
from provq_vision.metrics.evaluation import feature_sums
from provq_vision.metrics.extractors import FeatureExtractor
from provq_vision.metrics.frechet import FeatureSums


def load_reference(
    images: ImageSet, *, extractor: FeatureExtractor, size: int, batch_size: int, cache: Path
) -> FeatureSums:
    """
    Return the feature sums of the originals, from the cache where it has them.

    Parameters
    ----------
    images : ImageSet
        The originals.
    extractor : FeatureExtractor
        The network.
    size : int
        Sides of the center crops in pixels.
    batch_size : int
        Images in the network at once.
    cache : Path
        Folder; made if it does not exist. A damaged file in it is replaced.

    Returns
    -------
    FeatureSums
        Of the set as it was cropped.
    """
    facts = (images.content_hash(), str(size), extractor.id, extractor.weights_sha256)
    # The name says all that the numbers depend on; another set has another file.
    name = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    path = cache / f"originals_{name}.npz"
    try:
        return FeatureSums.load(path)
    except CheckpointError:
        sums = feature_sums(images, extractor=extractor, size=size, batch_size=batch_size)
        sums.save(path)
        return sums
