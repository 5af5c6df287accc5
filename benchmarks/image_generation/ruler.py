"""What are all models measured with?"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from provq_protein.errors import ConfigError
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.metrics.extractors import make_extractor
from provq_vision.metrics.generation.reference import Reference, measure_reference
from provq_vision.metrics.generation.scores import evaluate_samples

if TYPE_CHECKING:
    from rich.progress import Progress

    from provq_vision.metrics.generation.record import SampleScores


@dataclass(frozen=True)
class Ruler:
    """
    What all models are measured with.

    Attributes
    ----------
    args : Namespace
        Parsed options.
    bars : Progress
        Where to show how far it is.
    """

    args: argparse.Namespace
    bars: "Progress"

    @cached_property
    def extractor(self) -> Any:  # noqa: ANN401 - one of several kinds
        """The network that sees the images."""
        found = make_extractor(self.args.features)
        if found is None:
            msg = "--features: the scores of samples need a network"
            raise ConfigError(msg)
        return found

    @cached_property
    def others(self) -> ImageSet:
        """Real images beside the reference, as many as samples of all classes."""
        images = open_images(self.args.data, split=self.args.real_split)
        wanted = self.args.per_class * len(images.classes)
        if wanted > len(images):
            msg = f"--real-split {self.args.real_split}: {len(images)} images, {wanted} are needed"
            raise ConfigError(msg)
        return images.select(index * len(images) // wanted for index in range(wanted))

    def reference(self, size: int) -> Reference:
        """
        Return what the samples are compared with.

        Parameters
        ----------
        size : int
            Sides in pixels.

        Returns
        -------
        Reference
            From the cache, if it is there.
        """
        path = self.args.cache / f"reference.{size}.npz"
        if path.is_file():
            found = Reference.load(path)
            found.check_extractor(self.extractor)
            return found
        images = open_images(self.args.data, split=self.args.reference_split)
        with bar(self.bars, "reference", len(images)) as advance:
            found = measure_reference(
                images,
                extractor=self.extractor,
                size=size,
                batch_size=self.args.batch_size,
                progress=advance,
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(path)
        return found

    def scores(self, samples: Any, size: int, label: str) -> "SampleScores":  # noqa: ANN401
        """
        Compare images with the reference.

        Parameters
        ----------
        samples : ImageSet or SampleFiles
            The images.
        size : int
            Sides in pixels.
        label : str
            For the progress bar.

        Returns
        -------
        SampleScores
            All numbers.
        """
        with bar(self.bars, label, len(self.others)) as advance:
            return evaluate_samples(
                samples,
                self.reference(size),
                extractor=self.extractor,
                size=size,
                batch_size=self.args.batch_size,
                progress=advance,
            )


@contextmanager
def bar(bars: "Progress", label: str, total: int) -> "Iterator[Any]":
    """
    Show how far something is.

    Parameters
    ----------
    bars : Progress
        Where.
    label : str
        What it is.
    total : int
        How much there is of it.

    Yields
    ------
    callable
        To be called with how much more was done.
    """
    task = bars.add_task(label, total=total)
    try:
        yield lambda done: bars.advance(task, done)
    finally:
        bars.remove_task(task)
