"""What are the values of a small mmCIF category, given its lines."""

from collections.abc import Iterator, Mapping

import numpy as np

from provq_protein.structure.cif_columns import UnusualLayoutError, Words

_ABSENT = (".", "?")


class TextCategory:
    """
    A small category.

    Parameters
    ----------
    columns : mapping of str to list of str
        Values by column, all as they are written, without quotes.
    """

    def __init__(self, columns: Mapping[str, list[str]]) -> None:
        self._columns = columns

    def __contains__(self, name: object, /) -> bool:
        """Return whether there is such a column."""
        return name in self._columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self._columns.values())))

    def text(self, name: str) -> Words:
        """
        Return a column of text.

        Parameters
        ----------
        name : str
            Of a column that exists.

        Returns
        -------
        Words
            Absent values are ``""``.
        """
        values = self._columns[name]
        return Words(np.array(["" if value in _ABSENT else value for value in values], np.str_))


def split_category(text: str) -> TextCategory:
    """
    Return the values of a category.

    Parameters
    ----------
    text : str
        Its lines, with the ``loop_`` before them if there is one; ASCII.

    Returns
    -------
    TextCategory
        The values.

    Raises
    ------
    UnusualLayoutError
        If the lines are none of a category, or values are missing.

    Examples
    --------
    >>> split_category("_entry.id '1ABC'\\n#\\n").text("id").array().tolist()
    ['1ABC']
    """
    lines = list(_logical_lines(text))
    if lines and lines[0].startswith("loop_"):
        return TextCategory(_looped(lines[1:]))
    return TextCategory(_single(lines))


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines that hold something; a text field is one line, with its semicolon."""
    field: list[str] | None = None
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or line.startswith("#"):
            continue
        if stripped.startswith(";"):
            if field is not None:
                yield "\n".join(field)
            field = [stripped] if field is None else None
        elif field is not None:
            field.append(stripped)
        else:
            yield stripped
    if field is not None:
        msg = "a text field without an end"
        raise UnusualLayoutError(msg)


def _words(line: str) -> Iterator[str]:
    if line.startswith(";"):
        yield line[1:]
    elif "'" not in line and '"' not in line:
        yield from line.split()
    else:
        yield from _quoted_words(line)


def _quoted_words(line: str) -> Iterator[str]:
    """Yield words at spaces; a quote ends at the same quote that a space follows, or at any."""
    if "\t" in line:
        msg = "tabs between quotes"
        raise UnusualLayoutError(msg)
    while line:
        line = line.lstrip(" ")
        word, _, after = line.partition(" ")
        if word[:1] not in ("'", '"'):
            yield word
        elif len(word) > 1 and word.endswith(word[0]):
            yield word[1:-1]
        else:
            word, _, after = line[1:].partition(word[0])
            yield word
        line = after


def _single(lines: list[str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    waiting = ""
    for line in lines:
        words = list(_words(line))
        if waiting and len(words) == 1:
            columns[waiting], waiting = [words[0]], ""
        elif not waiting and len(words) in (1, 2) and line.startswith("_") and "." in words[0]:
            name = words[0].split(".")[1]
            waiting = name if len(words) == 1 else ""
            columns[name] = words[1:]
        else:
            msg = "a value without a name, or the reverse"
            raise UnusualLayoutError(msg)
    if waiting or not columns:
        msg = "a name without a value"
        raise UnusualLayoutError(msg)
    return columns


def _looped(lines: list[str]) -> dict[str, list[str]]:
    names = []
    for line in lines:
        if not line.startswith("_"):
            break
        names.append(line.split(".")[1] if "." in line else "")
    values = [word for line in lines[len(names) :] for word in _words(line)]
    if "" in names or len(set(names)) < len(names) or not values or len(values) % len(names):
        msg = "a loop whose values do not fill its rows"
        raise UnusualLayoutError(msg)
    return {name: values[index :: len(names)] for index, name in enumerate(names)}
