"""What becomes of one member, and of one shard?"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provq_protein.batch.feed import counts_of
from provq_protein.batch.manifest import ManifestRow, Status
from provq_protein.batch.messages import Counts, Encoder, ShardDone, ShardTask, Working
from provq_protein.batch.shards import ShardSettings, write_shard
from provq_protein.errors import StructureError
from provq_protein.structure import reading
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.structure.taking import finish_chain, unusable
from provq_protein.tokens.inputs import absent_chains
from provq_protein.tokens.sequence import TokenSequence

if TYPE_CHECKING:
    from provq_protein.sources import Member


@dataclass
class MemberResult:
    """
    What one member gave.

    Parameters
    ----------
    rows : list of ManifestRow
        At least one.
    tokens : list of TokenSequence
        One per row with status ``"ok"``.
    """

    rows: list[ManifestRow] = field(default_factory=list)
    tokens: list[TokenSequence] = field(default_factory=list)

    def counts(self) -> Counts:
        """
        Return how much this is.

        Returns
        -------
        Counts
            Of one member.
        """
        return dataclasses.replace(counts_of(self.rows), members=1)


def encode_shard(
    task: ShardTask,
    encoder: Encoder,
    settings: ShardSettings,
    report: Callable[[Working], None],
) -> ShardDone:
    """
    Encode the members of one shard and put it into the run's folder.

    Parameters
    ----------
    task : ShardTask
        What to encode.
    encoder : Encoder
        The model.
    settings : ShardSettings
        Where to put it.
    report : callable
        Told what is begun: each member, each further chain of it, and the writing.

    Returns
    -------
    ShardDone
        The shard is on disk.

    Raises
    ------
    OSError
        If it cannot be written; nothing that looks finished is left behind.
    """
    results: dict[int, MemberResult] = {}
    done = Counts()
    for position in task.order():
        report(Working(position, done))
        member, index = task.members[position], task.first + position
        work = _MemberWork(member, index, encoder, settings)
        if position in task.condemned:
            work.fail(None, task.condemned[position])
        else:
            for _ in work.steps():
                report(Working(position, done + work.result.counts()))
        results[position] = work.result
        done += work.result.counts()
    report(Working(None, done))
    in_order = [results[position] for position in range(len(task.members))]
    write_shard(
        task.number,
        [chain for result in in_order for chain in result.tokens],
        [row for result in in_order for row in result.rows],
        settings,
    )
    return ShardDone(task.number, done)


def read_member(member: "Member", policy: ResiduePolicy = CONTRACT) -> list[Backbone]:
    """
    Return all polypeptide chains of a member.

    Parameters
    ----------
    member : Member
        Without a problem.
    policy : ResiduePolicy
        What to take of each chain. Those that it does not name are returned as they are.

    Returns
    -------
    list of Backbone
        In file order; their `source` is the member's name.

    Raises
    ------
    StructureError
        If it cannot be read.
    """
    if member.chain is not None:
        chain = member.chain
        found = [finish_chain(chain, policy) if policy.selects(chain.chain_id) else chain]
    elif member.content is not None:
        found = reading.every_backbone(member.content, source=member.name, policy=policy)
    elif member.path is not None:
        source, content = os.fspath(member.path), reading.read_content(member.path)
        found = reading.every_backbone(content, source=source, policy=policy)
    else:
        msg = f"{member.name}: its content was not delivered; this is a mistake of provq"
        raise StructureError(msg)
    return [
        chain if chain.source == member.name else dataclasses.replace(chain, source=member.name)
        for chain in found
    ]


class _MemberWork:
    """The encoding of one member, chain by chain."""

    def __init__(
        self, member: "Member", index: int, encoder: Encoder, settings: ShardSettings
    ) -> None:
        self.result = MemberResult()
        self._member, self._index = member, index
        self._encoder, self._settings = encoder, settings
        self._exact_because: str | None = getattr(encoder, "exact_because", None)
        self._since = time.perf_counter()

    def steps(self) -> Iterator[None]:
        """Do the work, and yield before each chain."""
        if self._member.problem is not None:
            self.fail(None, self._member.problem)
            return
        try:
            found = read_member(self._member, self._settings.policy)
        except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
            self.fail(None, self._reason(error))
            return
        for chain in self._wanted(found):
            yield
            self._encode(chain)

    def fail(self, chain: Backbone | None, reason: str) -> None:
        """Add a row that says why there are no tokens."""
        self._row("failed", chain, reason)

    def _wanted(self, found: Sequence[Backbone]) -> list[Backbone]:
        policy = self._settings.policy
        for problem in absent_chains(self._member.name, found, policy):
            self._row("skipped", None, problem.reason, chain_id=problem.chain_id)
        return [chain for chain in found if policy.selects(chain.chain_id)]

    def _encode(self, chain: Backbone) -> None:
        reason = unusable(chain, self._settings.policy)
        if reason is not None:
            self._row("skipped", chain, reason)
            return
        try:
            tokens = self._encoder.encode(chain)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail(chain, self._reason(error, chain))
            return
        self.result.tokens.append(tokens)
        self._row("ok", chain, None, fast=getattr(self._encoder, "fast_facts", None))

    def _reason(self, error: Exception, chain: Backbone | None = None) -> str:
        # Messages begin with the file and chain already, which have columns of their own.
        text = str(error).removeprefix(f"{self._member.name}: ")
        if chain is not None:
            text = text.removeprefix(f"chain {chain.chain_id}: ")
        if not isinstance(error, StructureError):
            text = f"unexpected {type(error).__name__}: {text}"
        return " ".join(text.split())

    def _row(
        self,
        status: Status,
        chain: Backbone | None,
        reason: str | None,
        *,
        chain_id: str | None = None,
        fast: dict[str, Any] | None = None,
    ) -> None:
        now, precision = time.perf_counter(), self._settings.precision
        if self._exact_because is not None:
            precision, fast = "exact", {"exact_because": self._exact_because}
        self.result.rows.append(
            ManifestRow(
                index=self._index,
                member=self._member.name,
                source=self._member.source,
                chain_id=chain_id if chain is None else chain.chain_id,
                status=status,
                reason=reason,
                residues=0 if chain is None else len(chain),
                resolved=0 if chain is None else int(chain.resolved.sum()),
                ms=round(1000 * (now - self._since), 3),
                fingerprint=self._encoder.fingerprint,
                precision=precision,
                fast=fast,
                model=None if chain is None or chain.model == 1 else chain.model,
            )
        )
        self._since = now
