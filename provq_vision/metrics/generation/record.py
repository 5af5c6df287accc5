"""Which numbers does an evaluation of generated images give, and how are they kept?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.metrics.documents import load_json, pairs_of, save_json, without_format

FORMAT = "provq-sample-evaluation"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSetting:
    """
    What was measured, with what, against what.

    Parameters
    ----------
    samples : str
        Hash of the samples, and how they were cropped.
    n_samples : int
        Samples that were measured.
    n_unreadable : int
        Samples that were not, because they cannot be read.
    size : int
        Sides in pixels of samples and reference images.
    reference : str
        Hash of the reference images or statistics, and how the images were cropped.
    n_reference : int, optional
        Reference images of the Frechet distances; None if published statistics do not say.
    n_reference_rows : int
        Reference images of precision and recall; 0 if there are statistics alone.
    extractor : str
        Where pooled features and logits are from (`SampleExtractor.id`).
    spatial_extractor : str
        Where spatial features are from (`SampleExtractor.spatial_id`).
    weights_sha256 : str
        Of the weights of the extractor.
    neighbors : int
        Of precision and recall.
    provq : str
        Version of this package.
    torch : str
        Version of torch.
    """

    samples: str
    n_samples: int
    n_unreadable: int
    size: int
    reference: str
    n_reference: int | None
    n_reference_rows: int
    extractor: str
    spatial_extractor: str
    weights_sha256: str
    neighbors: int
    provq: str
    torch: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleScores:
    """
    All numbers of one evaluation of generated images.

    All of them depend on the extractor, the reference and the numbers of images; they are those
    of papers for Inception features, 50,000 samples and the papers' reference alone.

    Parameters
    ----------
    setting : SampleSetting
        What was measured.
    fid : float
        Frechet distance of pooled features (gFID).
    sfid : float
        Frechet distance of spatial features.
    inception_score : float
        From 1 to the number of classes.
    precision : float, optional
        Share of the samples that look like a reference image; None without such images.
    recall : float, optional
        Share of the reference images that samples come near to; None without such images.
    problems : tuple of tuple of str
        Name and reason, for every image that could not be read, of the reference set too.
    """

    setting: SampleSetting
    fid: float
    sfid: float
    inception_score: float
    precision: float | None
    recall: float | None
    problems: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """
        Return the numbers as JSON has them.

        Returns
        -------
        dict
            Plain values; all numbers are finite.
        """
        values = to_mapping(self) | {"problems": [list(problem) for problem in self.problems]}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **values}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str = "scores") -> "SampleScores":
        """
        Build scores from what `to_json` returned.

        Parameters
        ----------
        document : mapping
            Plain values.
        where : str
            Where they are from, for error messages.

        Returns
        -------
        SampleScores
            Equal to those that were kept.

        Raises
        ------
        ConfigError
            If it is of another format or version, or an entry is missing, unknown or of the
            wrong type.
        """
        rest = without_format(document, name=FORMAT, version=FORMAT_VERSION, where=where)
        frame = from_mapping(_Frame, rest, where=where)
        return cls(
            setting=frame.setting,
            fid=frame.fid,
            sfid=frame.sfid,
            inception_score=frame.inception_score,
            precision=frame.precision,
            recall=frame.recall,
            problems=pairs_of(frame.problems, where=where),
        )

    def save(self, path: Path) -> None:
        """
        Write the numbers to a JSON file, whole or not at all.

        Parameters
        ----------
        path : Path
            Where; replaced if it exists.
        """
        save_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "SampleScores":
        """
        Read the numbers from a JSON file.

        Parameters
        ----------
        path : Path
            As `save` wrote it.

        Returns
        -------
        SampleScores
            Equal to those that were saved.

        Raises
        ------
        ConfigError
            If the file is missing or damaged, or not what `from_json` takes.
        """
        return cls.from_json(load_json(path), where=str(path))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """The entries of the document; the problems are read one by one."""

    setting: SampleSetting
    fid: float
    sfid: float
    inception_score: float
    precision: float | None
    recall: float | None
    # A bare type, because the strict reader takes no lists of lists.
    problems: list
