"""Does a run give every input its row, whatever the worker processes go through?"""

import threading

import pytest

from provq_protein.batch.folder import claimed
from provq_protein.batch.run import RunOptions
from provq_protein.errors import CheckpointError, ConfigError, TokenFormatError
from provq_protein.tokens.formats import load_tokens


def test_every_chain_has_a_row_and_every_good_one_its_tokens(
    encode, ten_files, tmp_path, rows_in
) -> None:
    summary = encode(ten_files)
    rows = rows_in("out")
    assert [row.index for row in rows] == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9]
    assert {row.status for row in rows} == {"ok"}
    assert (summary.made.ok, summary.made.members, summary.members) == (15, 10, 10)
    assert summary.made.residues == sum(row.residues for row in rows)
    assert (summary.shards_made, summary.shards_found, summary.problems) == (4, 0, 0)
    tokens = [t for path in sorted(tmp_path.glob("out/tokens-*")) for t in load_tokens(path)]
    named = [(chain.source, chain.chain_id, len(chain)) for chain in tokens]
    assert named == [(row.member, row.chain_id, row.residues) for row in rows]
    assert not list(tmp_path.glob("out/.*"))


def test_parts_and_jobs_make_what_one_job_makes(encode, ten_files, state_of) -> None:
    encode(ten_files, "whole")
    for part in ((3, 3), (1, 3), (2, 3)):
        encode(ten_files, "parts", part=part, jobs=1 + (part == (1, 3)))
    assert state_of("parts") == state_of("whole")


def test_parts_may_run_at_the_same_time_but_the_same_part_may_not(
    encode, ten_files, state_of, tmp_path
) -> None:
    encode(ten_files, "whole")
    jobs = [
        threading.Thread(target=encode, args=(ten_files, "both"), kwargs={"part": (i, 2)})
        for i in (1, 2)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert state_of("both") == state_of("whole")
    (tmp_path / "taken").mkdir()
    with (
        claimed(tmp_path / "taken", (1, 1)),
        pytest.raises(TokenFormatError, match="another job is at work on the same part"),
    ):
        encode(ten_files, "taken", resume=True)


def test_two_jobs_without_locks_still_give_whole_files(
    encode, ten_files, state_of, monkeypatch
) -> None:
    encode(ten_files, "whole")
    monkeypatch.setattr("provq_protein.batch.folder._try_lock", lambda path: None)
    jobs = [
        threading.Thread(target=encode, args=(ten_files, "both"), kwargs={"resume": True})
        for _ in range(2)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert state_of("both") == state_of("whole")


def test_a_resumed_run_makes_only_what_is_missing(encode, ten_files, state_of, tmp_path) -> None:
    encode(ten_files)
    before = state_of("out")
    (tmp_path / "out" / "manifest-000002.jsonl").unlink()
    (tmp_path / "out" / "tokens-000002.jsonl").write_text("half")
    summary = encode(ten_files, resume=True)
    assert (summary.shards_made, summary.shards_found) == (1, 3)
    assert summary.made.ok + summary.found.ok == 15
    assert state_of("out") == before


def test_a_run_is_neither_overwritten_nor_mixed_with_another(
    encode, ten_files, stand_ins, write_pdb, state_of
) -> None:
    encode(ten_files)
    before = state_of("out")
    with pytest.raises(TokenFormatError, match="holds a run already; go on with it"):
        encode(ten_files)
    with pytest.raises(ConfigError, match="shard_size was 3 and is now 4"):
        encode(ten_files, resume=True, shard_size=4)
    with pytest.raises(ConfigError, match=r'fingerprint was "0123.* and is now "ffff'):
        encode(ten_files, resume=True, load=stand_ins.other)
    write_pdb("f3a")
    with pytest.raises(ConfigError, match=r"in shard 1, member 4 was .*f4.pdb and is now .*f3a"):
        encode(ten_files, resume=True)
    assert state_of("out") == before


def test_more_inputs_at_the_end_are_noticed(encode, ten_files, write_pdb) -> None:
    encode(ten_files)
    write_pdb("f9a")
    write_pdb("f9b")
    with pytest.raises(ConfigError, match="member 10 was absent"):
        encode(ten_files, resume=True)


def test_a_folder_of_something_else_is_left_alone(encode, ten_files, tmp_path) -> None:
    with pytest.raises(TokenFormatError, match=r"is not empty and holds no run"):
        encode(ten_files, "in", resume=True)
    with pytest.raises(TokenFormatError, match="is a file"):
        encode(ten_files, "in/f0.pdb")
    with pytest.raises(TokenFormatError, match="does not exist; create it first"):
        encode(ten_files, "absent/out")


def test_members_that_kill_or_hang_get_one_row_and_the_others_their_tokens(
    encode, stand_ins, write_pdb, rows_in
) -> None:
    bad = ["exits", "hangs", "killed", "raises"]
    folder = write_pdb("a").parent
    for name in [*bad, "y", "z"]:
        write_pdb(name)
    (folder / "corrupt.pdb").write_text("no structure")
    write_pdb("trace", atoms="CA")
    options = RunOptions(time_limit=3)
    summary = encode(folder, load=stand_ins.naughty, jobs=2, shard_size=5, options=options)
    rows = {row.member.rsplit("/", 1)[1][:-4]: row for row in rows_in("out")}
    assert len(rows_in("out")) == len(rows) == 9
    assert rows["exits"].reason == "crash: the worker process died at it (exit code 3)"
    assert "SIGKILL" in rows["killed"].reason
    assert rows["hangs"].reason == "time limit: no result within 3 s (--time-limit)"
    assert rows["raises"].reason == "unexpected IndexError: no such luck"
    assert "no structure" in rows["corrupt"].reason
    assert rows["trace"].reason.startswith("only CA atoms")
    status = {name: row.status for name, row in rows.items()}
    assert status == dict.fromkeys([*bad, "corrupt"], "failed") | {
        "a": "ok", "trace": "skipped", "y": "ok", "z": "ok"
    }  # fmt: skip
    assert (summary.made.ok, summary.made.skipped, summary.made.failed) == (3, 1, 5)


def test_a_worker_that_dies_once_costs_nothing(
    encode, stand_ins, write_pdb, state_of, monkeypatch, tmp_path
) -> None:
    folder = write_pdb("a").parent
    for name in ("b", "unlucky", "z"):
        write_pdb(name)
    encode(folder, "whole")
    monkeypatch.setenv("PROVQ_TEST_FLAG", str(tmp_path / "flag"))
    done = []
    options = RunOptions(on_progress=done.append)
    summary = encode(folder, "out", load=stand_ins.unlucky, options=options)
    assert (tmp_path / "flag").exists()
    assert state_of("out") == state_of("whole")
    assert sum(counts.members for counts in done) == summary.made.members == 4
    assert any(counts.members < 0 for counts in done)


def test_a_full_disk_ends_the_run_and_leaves_it_resumable(
    encode, stand_ins, ten_files, state_of, tmp_path
) -> None:
    encode(ten_files, "whole")
    with pytest.raises(OSError, match=r"shard 1 was not written.*make room") as raised:
        encode(ten_files, load=stand_ins.full_disk)
    assert "No space left on device" in str(raised.value)
    assert [path.name for path in tmp_path.glob("out/tokens-*")] == ["tokens-000000.jsonl"]
    encode(ten_files, resume=True)
    assert state_of("out") == state_of("whole")


@pytest.mark.parametrize(
    ("load", "error", "message"),
    [
        ("fails_at_start", CheckpointError, "weights are damaged"),
        ("dies_at_start", ConfigError, r"end as they start \(exit code 7\)"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_run(
    encode, stand_ins, ten_files, load, error, message
) -> None:
    with pytest.raises(error, match=message):
        encode(ten_files, load=getattr(stand_ins, load))


def test_no_members_are_no_shards(encode, write_pdb, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    summary = encode(str(empty / "*.cif"), "out")
    assert summary.made.ok == 0
    assert summary.members == summary.made.failed
