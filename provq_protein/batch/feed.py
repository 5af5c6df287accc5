"""Which members make which shard, and which shards are still to be made?"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from provq_protein.batch.manifest import ManifestRow, read_manifest
from provq_protein.batch.messages import Counts, ShardDone, ShardTask
from provq_protein.batch.shards import manifest_file
from provq_protein.errors import ConfigError

if TYPE_CHECKING:
    from provq_protein.sources import Member

Stream = Callable[[Callable[[int], bool]], "Iterable[Member]"]


class Feed(Protocol):
    """Where an engine gets its work from."""

    def take(self) -> ShardTask | None:
        """
        Return the next shard to make, if one is at hand.

        Returns
        -------
        ShardTask or None
            None: not yet, or never again if `exhausted`.
        """
        ...

    @property
    def exhausted(self) -> bool:
        """Whether no shard will come any more."""
        ...


class ShardPlan:
    """
    Cut the ordered members into shards, and find those that are done.

    Parameters
    ----------
    stream : callable
        Called with a function ``wanted(index)``; returns all members in order. Those that
        are not wanted need not be read.
    out : Path
        The run's folder.
    part : tuple of int
        Which job this is, from 1, of how many: it makes each shard k with
        ``k % part[1] == part[0] - 1``.
    shard_size : int
        Members per shard.

    Attributes
    ----------
    members : int
        Number of members met so far.
    """

    def __init__(
        self, stream: Stream, out: Path, *, part: tuple[int, int], shard_size: int
    ) -> None:
        self._stream, self._out = stream, out
        self._part, self._shard_size = part, shard_size
        self._state: tuple[int, bool] = (-1, False)
        self.members = 0

    def __iter__(self) -> Iterator[ShardTask | ShardDone]:
        """
        Yield this job's shards in order: done, or to be made.

        Yields
        ------
        ShardTask or ShardDone
            A shard that has to be made, or one that was found.

        Raises
        ------
        ConfigError
            If a shard that is done was made of other members.
        """
        members = iter(self._stream(self._wanted))
        for number in count():
            group = list(islice(members, self._shard_size))
            self.members += len(group)
            if group and self._is_mine(number):
                if self._is_done(number):
                    rows = read_manifest(manifest_file(self._out, number))
                    self._check(number, group, rows)
                    yield ShardDone(number, counts_of(rows), found=True)
                else:
                    yield ShardTask(number, number * self._shard_size, group)
            if len(group) < self._shard_size:
                return

    @property
    def shards(self) -> int:
        """Number of shards of the members met so far."""
        return -(-self.members // self._shard_size)

    def _wanted(self, index: int) -> bool:
        number = index // self._shard_size
        return self._is_mine(number) and not self._is_done(number)

    def _is_mine(self, number: int) -> bool:
        return number % self._part[1] == self._part[0] - 1

    def _is_done(self, number: int) -> bool:
        # Asked of the disk once per shard: another job could make it while its members pass,
        # and a half of them be read.
        if self._state[0] != number:
            self._state = (number, manifest_file(self._out, number).exists())
        return self._state[1]

    def _check(self, number: int, group: "list[Member]", rows: list[ManifestRow]) -> None:
        then = {row.index: row.member for row in rows}
        first = number * self._shard_size
        now = {first + position: member.name for position, member in enumerate(group)}
        if then == now:
            return
        index = min(i for i in then.keys() | now.keys() if then.get(i) != now.get(i))
        msg = (
            f"{self._out}: the inputs are not those of the run: in shard {number}, member {index} "
            f"was {then.get(index, 'absent')} and is now {now.get(index, 'absent')}; give the "
            "same inputs, or name a new folder"
        )
        raise ConfigError(msg)


def counts_of(rows: Iterable[ManifestRow]) -> Counts:
    """
    Return what the rows of a manifest add up to.

    Parameters
    ----------
    rows : iterable of ManifestRow
        Of one or more shards.

    Returns
    -------
    Counts
        Over all rows.
    """
    rows = list(rows)
    status = [row.status for row in rows]
    fast = [row.fast for row in rows if row.fast]
    return Counts(
        members=len({row.index for row in rows}),
        ok=status.count("ok"),
        skipped=status.count("skipped"),
        failed=status.count("failed"),
        residues=sum(row.residues for row in rows if row.status == "ok"),
        fast=sum(facts.get("residues", 0) for facts in fast),
        rechecked=sum(facts.get("rechecked", 0) for facts in fast),
        audited=sum(facts.get("audited", 0) for facts in fast),
        mismatches=sum(facts.get("mismatches", 0) for facts in fast),
    )


class ReadAhead:
    """
    Read the members of the next shard while others are encoded.

    Parameters
    ----------
    plan : iterable of ShardTask or ShardDone
        What to read; in a thread of its own, and never further than one shard ahead.

    Attributes
    ----------
    found : list of ShardDone
        Shards that were done already; whoever reads it may empty it.
    """

    def __init__(self, plan: Iterable[ShardTask | ShardDone]) -> None:
        self.found: list[ShardDone] = []
        self._ready: queue.Queue[ShardTask | BaseException | None] = queue.Queue(maxsize=1)
        self._abandoned = threading.Event()
        self._exhausted = False
        self._thread = threading.Thread(target=self._read, args=(plan,), daemon=True)
        self._thread.start()

    def take(self) -> ShardTask | None:
        """
        Return the next shard to make, if one is at hand.

        Returns
        -------
        ShardTask or None
            None: not yet, or never again if `exhausted`.
        """
        if self._exhausted:
            return None
        try:
            item = self._ready.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, ShardTask):
            return item
        self._exhausted = True
        if item is not None:
            raise item
        return None

    @property
    def exhausted(self) -> bool:
        """Whether no shard will come any more."""
        return self._exhausted

    def close(self) -> None:
        """Stop reading."""
        self._abandoned.set()
        self._thread.join(timeout=1)

    def _read(self, plan: Iterable[ShardTask | ShardDone]) -> None:
        try:
            for item in plan:
                if isinstance(item, ShardDone):
                    self.found.append(item)
                else:
                    self._put(item)
                if self._abandoned.is_set():
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by `take`
            self._put(error)

    def _put(self, item: ShardTask | BaseException | None) -> None:
        while not self._abandoned.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return
