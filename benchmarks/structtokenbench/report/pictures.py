"""Which figures does a report have, and where are they?"""

from pathlib import Path

from structtokenbench.report import figures
from structtokenbench.report.blocks import Picture
from structtokenbench.report.readings import Readings
from structtokenbench.report.scores import ScoreSet

_FOREST = (
    "Scores with 95 % intervals, one row per task-split. Filled markers are tokenizers; open ones "
    "and strokes are controls, in the colour of the tokenizer that they are made of. Dashed lines "
    "are chance; for macro F1 that is about what guessing all classes alike reaches."
)
_USAGE = (
    "How the residues of each set spread over the codes, the most frequent code first, on "
    "logarithmic axes. The dotted line is a codebook whose codes are all used alike."
)
_SENSITIVITY = (
    "Normalized token score of each pair of conformations against the TM-score of the two "
    "structures."
)


class Pictures:
    """
    Figures beside a page.

    Parameters
    ----------
    folder : Path
        Where they go.
    stem : str
        What their names begin with.
    enabled : bool
        Whether any is drawn.
    """

    def __init__(self, folder: Path, stem: str, *, enabled: bool) -> None:
        self.names: list[str] = []
        self._folder = folder
        self._stem = stem
        self._enabled = enabled

    @property
    def paths(self) -> list[Path]:
        """Files of the figures drawn so far."""
        return [
            self._folder / f"{name}{suffix}" for name in self.names for suffix in (".svg", ".png")
        ]

    def svg(self) -> dict[str, str]:
        """
        Read the figures drawn so far.

        Returns
        -------
        dict of str to str
            SVG text by name.
        """
        return {
            name: (self._folder / f"{name}.svg").read_text(encoding="utf-8") for name in self.names
        }

    def forest(self, scores: ScoreSet, name: str) -> Picture | None:
        """
        Draw scores.

        Parameters
        ----------
        scores : ScoreSet
            Of one setup.
        name : str
            End of the file name.

        Returns
        -------
        Picture or None
            None without scores.
        """
        if not self._enabled or not scores.scored:
            return None
        picture = self._named(name, _FOREST)
        figures.draw_forest(scores, self._folder / picture.name)
        return picture

    def usage(self, found: Readings) -> Picture | None:
        """
        Draw the use of codes.

        Parameters
        ----------
        found : Readings
            All results.

        Returns
        -------
        Picture or None
            None without counts.
        """
        if not self._enabled or not figures.usage_tokenizers(found):
            return None
        picture = self._named("usage", _USAGE)
        figures.draw_usage(found, self._folder / picture.name)
        return picture

    def sensitivity(self, found: Readings) -> Picture | None:
        """
        Draw pairs of conformations.

        Parameters
        ----------
        found : Readings
            All results.

        Returns
        -------
        Picture or None
            None without pairs.
        """
        if not self._enabled or not figures.sensitivity_tokenizers(found):
            return None
        picture = self._named("sensitivity", _SENSITIVITY)
        figures.draw_sensitivity(found, self._folder / picture.name)
        return picture

    def _named(self, name: str, caption: str) -> Picture:
        full = f"{self._stem}_{name}"
        self.names.append(full)
        return Picture(full, caption)
