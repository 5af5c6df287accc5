"""How does a task come from the benchmark's own files, whatever of them is there?"""

from pathlib import Path

from structtokenbench.errors import SourceError
from structtokenbench.items import TaskData
from structtokenbench.sources import jsonl, tables
from structtokenbench.sources.assembly import first_of_each_split
from structtokenbench.sources.chains import ChainSource, chain_source
from structtokenbench.tasks import task_named


def load_task(labels: Path, structures: Path | ChainSource, task: str) -> TaskData:
    """
    Return a task from JSON lines, and from the processed CSV file for splits without them.

    Parameters
    ----------
    labels : Path
        The folder of the files, or the one above (with ``splits`` and ``csv``).
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    task : str
        Name of one of the 12 tasks.

    Returns
    -------
    TaskData
        Each split from one kind of file, never from both.

    Raises
    ------
    ConfigError
        If there is no such task.
    SourceError
        If there is no file of the task.
    """
    chosen = task_named(task)
    chains = chain_source(structures)
    has_lines, has_table = jsonl.files_of(labels, chosen), tables.file_of(labels, chosen)
    if not has_lines and has_table is None:
        msg = (
            f"{labels}: neither {chosen.dataset}_{chosen.label_field}_<split>.jsonl nor "
            f"{chosen.table or 'a processed table'} for task {chosen.name}"
        )
        raise SourceError(msg)
    found = []
    if has_lines:
        found.append(jsonl.load_task(labels, chains, task))
    if has_table is not None and set(has_lines) != set(chosen.splits):
        found.append(tables.load_task(labels, chains, task))
    return first_of_each_split(*found)
