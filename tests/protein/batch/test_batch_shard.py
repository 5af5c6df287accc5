"""What is in one shard, and is it there only when it is whole?"""

import errno
import os
import time

import pytest

from provq_protein.batch import folder as folders
from provq_protein.batch.encoding import encode_shard
from provq_protein.batch.feed import ReadAhead, ShardPlan
from provq_protein.batch.folder import agree, claimed
from provq_protein.batch.manifest import read_manifest
from provq_protein.batch.messages import Counts, ShardDone, ShardTask
from provq_protein.batch.shards import ShardSettings
from provq_protein.errors import ConfigError, TokenFormatError
from provq_protein.sources import Member
from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.formats import load_tokens


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "out" / "work").mkdir(parents=True)
    return ShardSettings(tmp_path / "out", tmp_path / "out" / "work", "jsonl")


def shard(members, settings, stand_ins, **task):
    said = []
    encode_shard(ShardTask(0, 10, members, **task), stand_ins.naughty(), settings, said.append)
    return read_manifest(settings.out / "manifest-000000.jsonl"), said


def test_members_of_every_kind_have_rows_in_their_order(
    settings, stand_ins, write_pdb, make_coords
) -> None:
    chain = Backbone.from_arrays(make_coords(5, 1), chain_id="F", source="other")
    member = write_pdb("twice", "A")
    rows, said = shard(
        [
            Member("broken.tar", problem="ends too early", source="tar"),
            Member(str(member), path=member),
            Member("x.tar!b.pdb", content=member.read_bytes(), source="tar"),
            Member("run.xtc!frame 1", chain=chain, source="trajectory"),
            Member(str(member), path=member),
            Member("x.tar!bad", content=b"text", source="tar"),
            Member("never delivered"),
        ],
        settings,
        stand_ins,
    )
    assert [(row.index, row.source, row.status, row.chain_id) for row in rows] == [
        (10, "tar", "failed", None),
        (11, "file", "ok", "A"),
        (12, "tar", "ok", "A"),
        (13, "trajectory", "ok", "F"),
        (14, "file", "ok", "A"),
        (15, "tar", "failed", None),
        (16, "file", "failed", None),
    ]
    assert rows[0].reason == "ends too early"
    assert all(row.ms >= 0 and row.fingerprint == stand_ins.FINGERPRINT for row in rows)
    tokens = load_tokens(settings.out / "tokens-000000.jsonl")
    assert [t.source for t in tokens] == [row.member for row in rows if row.status == "ok"]
    assert said[-1].position is None
    assert said[-1].done == Counts(members=7, ok=4, failed=3, residues=6 + 6 + 5 + 6)


def test_chains_with_the_same_name_are_all_there(settings, stand_ins, make_coords) -> None:
    chains = [Backbone.from_arrays(make_coords(n, n), chain_id="A", source="s") for n in (4, 5)]
    rows, _ = shard([Member("s", chain=chain) for chain in chains], settings, stand_ins)
    assert [(row.chain_id, row.residues) for row in rows] == [("A", 4), ("A", 5)]
    assert [len(t) for t in load_tokens(settings.out / "tokens-000000.jsonl")] == [4, 5]


def test_members_at_which_a_worker_died_come_first_and_condemned_ones_not_at_all(
    settings, stand_ins, write_pdb
) -> None:
    members = [Member(name, path=write_pdb(name)) for name in ("a", "exits", "c")]
    task = ShardTask(0, 0, members, condemned={1: "crash"})
    task.deaths[2] = 1
    assert task.order() == [2, 0, 1]
    rows, _ = shard(members, settings, stand_ins, condemned={1: "crash"}, deaths=task.deaths)
    assert [(row.member, row.reason) for row in rows] == [
        ("a", None), ("exits", "crash"), ("c", None)
    ]  # fmt: skip


def test_a_shard_without_a_good_chain_has_both_files(settings, stand_ins) -> None:
    rows, _ = shard([Member("x", problem="is a link")], settings, stand_ins)
    assert [row.status for row in rows] == ["failed"]
    assert load_tokens(settings.out / "tokens-000000.jsonl") == []


@pytest.mark.parametrize("written", ["tokens", "manifest"])
def test_a_full_disk_leaves_nothing_that_looks_done(
    settings, stand_ins, write_pdb, monkeypatch, written
) -> None:
    sync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == (1 if written == "tokens" else 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        shard([Member("a", path=write_pdb("a"))], settings, stand_ins)
    names = sorted(path.name for path in settings.out.iterdir())
    assert names == [*(["tokens-000000.jsonl"] if written == "manifest" else []), "work"]
    assert not list(settings.work.iterdir())


def test_only_members_of_shards_to_be_made_are_read(settings, stand_ins) -> None:
    asked = {}

    def stream(wanted):
        for index in range(8):
            asked[index] = wanted(index)
            yield Member(f"m{index}", problem="x")

    plan = ShardPlan(stream, settings.out, part=(1, 2), shard_size=2)
    first, third = plan
    assert ([first.number, third.number], plan.members, plan.shards) == ([0, 2], 8, 4)
    assert [index for index, wanted in asked.items() if wanted] == [0, 1, 4, 5]
    encode_shard(first, stand_ins.plain(), settings, lambda said: None)
    found, third = ShardPlan(stream, settings.out, part=(1, 2), shard_size=2)
    assert found == ShardDone(0, Counts(members=2, failed=2), found=True)
    assert [index for index, wanted in asked.items() if wanted] == [4, 5]


def test_what_goes_wrong_while_reading_ahead_is_raised_where_it_is_read() -> None:
    def stream():
        yield ShardTask(0, 0, [])
        msg = "the archive is gone"
        raise RuntimeError(msg)

    feed = ReadAhead(stream())
    taken = []
    with pytest.raises(RuntimeError, match="the archive is gone"):
        while not feed.exhausted:
            taken.append(feed.take())
    assert [task.number for task in taken if task] == [0]
    feed.close()


def test_reading_stays_one_shard_ahead() -> None:
    read = []

    def stream():
        for number in range(100):
            read.append(number)
            yield ShardTask(number, number, [])

    feed = ReadAhead(stream())
    while feed.take() is None:
        time.sleep(0.001)
    feed.close()
    assert len(read) <= 4


def test_a_damaged_manifest_is_named(settings) -> None:
    path = settings.out / "manifest-000000.jsonl"
    for text in ("{", "[]", '{"index": 1}'):
        path.write_text(text)
        with pytest.raises(TokenFormatError, match=r"manifest-000000.jsonl: line 1: .*delete the"):
            read_manifest(path)


def test_the_first_job_says_what_holds_for_all(tmp_path) -> None:
    agree(tmp_path, "run.json", {"a": 1}, where="it differs")
    agree(tmp_path, "run.json", {"a": 1}, where="it differs")
    with pytest.raises(ConfigError, match=r"run.json: it differs: a was 1 and is now null; b was"):
        agree(tmp_path, "run.json", {"b": 2}, where="it differs")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_leftovers_of_killed_jobs_are_removed_and_those_of_others_are_not(
    tmp_path, monkeypatch
) -> None:
    for name in (".work-1-of-1", ".work-2-of-3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
        (tmp_path / name / "abc-000001").write_text("half")
    monkeypatch.setattr(folders, "_YOUNG", -1.0)
    with claimed(tmp_path, (5, 9)), claimed(tmp_path, (1, 1)) as work:
        assert [path.name for path in work.iterdir()] == ["lock"]
        assert sorted(path.name for path in tmp_path.iterdir()) == [".work-1-of-1", ".work-5-of-9"]
    assert not list(tmp_path.iterdir())
