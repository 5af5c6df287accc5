"""Which files do paths, globs, folders and lists stand for?"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provq_protein.errors import ConfigError
from provq_protein.sources import Limits, Member, members


def names(found: Sequence[Member], folder: Path) -> list[str]:
    return [member.name.replace(f"{folder}{os.sep}", "") for member in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with structures on two levels and other files between them."""
    for name in (
        "b.cif",
        "a.pdb.gz",
        "sub/c.BCIF",
        "sub/deep/d.ent.zst",
        "notes.txt",
        "table.csv.gz",
        ".hidden.cif",
        ".git/e.cif",
        "run.xtc",
        "é.cif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"data_x")
    return tmp_path


def test_a_file_is_itself_whatever_its_suffix(tree: Path) -> None:
    found = list(members([str(tree / "notes.txt"), tree / "b.cif"]))
    assert found == [
        Member(str(tree / "notes.txt"), path=tree / "notes.txt"),
        Member(str(tree / "b.cif"), path=tree / "b.cif"),
    ]


def test_a_folder_is_searched_for_structures_in_sorted_order(tree: Path) -> None:
    found = list(members([tree]))
    assert names(found, tree) == ["a.pdb.gz", "b.cif", "sub/c.BCIF", "sub/deep/d.ent.zst", "é.cif"]
    assert all(member.path == Path(member.name) for member in found)


def test_names_keep_the_spelling_of_the_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert [member.name for member in members(["./sub/"])] == [
        "./sub/c.BCIF",
        "./sub/deep/d.ent.zst",
    ]


def test_the_pattern_chooses_in_folders_but_not_among_named_files(tree: Path) -> None:
    found = list(members([tree, tree / "a.pdb.gz"], pattern="*.cif"))
    assert names(found, tree) == ["b.cif", "é.cif", "a.pdb.gz"]


def test_the_pattern_may_fit_the_path_inside_the_folder(tree: Path) -> None:
    assert names(list(members([tree], pattern="sub/deep/*")), tree) == ["sub/deep/d.ent.zst"]


def test_links_in_a_circle_end_and_give_each_folder_once(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)
    (tree / "again").symlink_to(tree / "sub", target_is_directory=True)
    found = names(list(members([tree])), tree)
    assert sorted(Path(name).name for name in found) == sorted(
        ["a.pdb.gz", "b.cif", "c.BCIF", "d.ent.zst", "é.cif"]
    )


def test_a_link_to_a_file_is_followed_and_a_broken_one_is_a_problem(tree: Path) -> None:
    (tree / "f.cif").symlink_to(tree / "b.cif")
    (tree / "g.cif").symlink_to(tree / "absent.cif")
    by_name = {Path(member.name).name: member for member in members([tree])}
    assert by_name["f.cif"].path == tree / "f.cif"
    assert "does not exist" in (by_name["g.cif"].problem or "")


def test_a_folder_deeper_than_python_recurses_is_searched(tmp_path: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(300):
            Path("d").mkdir()
            os.chdir("d")
        Path("x.cif").write_text("data_x")
    finally:
        os.chdir(before)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        found = list(members([tmp_path]))
    finally:
        sys.setrecursionlimit(limit)
    assert [Path(member.name).name for member in found] == ["x.cif"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("absent.cif", "no such file"),
        ("*.nothing", "no file matches"),
        ("empty", "the folder holds no structure file"),
        ("pipe.cif", "no regular file"),
        ("set.tar.xz", "repack it"),
        ("bad\0name", "no file name"),
        ("", "no file name"),
    ],
)
def test_what_cannot_be_read_is_one_member_with_a_problem(
    given: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("set.tar.xz").write_bytes(b"x")
    Path("good.cif").write_text("data_x")
    os.mkfifo("pipe.cif")
    bad, good = members([given, "good.cif"])
    assert reason in (bad.problem or "")
    assert bad.path is None
    assert bad.content is None
    assert good.path == Path("good.cif")


def test_an_unreadable_folder_is_a_problem_and_the_rest_is_read(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "sub":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(members([tree]))
    assert names(found, tree) == ["a.pdb.gz", "b.cif", "sub", "é.cif"]
    assert "Permission denied" in (found[2].problem or "")


def test_a_glob_is_sorted_and_a_file_with_its_spelling_wins(tree: Path) -> None:
    (tree / "[x].cif").write_text("data_x")
    assert names(list(members([str(tree / "*.cif")])), tree) == ["[x].cif", "b.cif", "é.cif"]
    assert names(list(members([str(tree / "[x].cif")])), tree) == ["[x].cif"]
    assert names(list(members([str(tree / "**" / "*.BCIF")])), tree) == ["sub/c.BCIF"]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def test_a_dash_reads_a_list_with_comments(tree: Path, stdin: Callable[[bytes], None]) -> None:
    lines = f"# a list\n\n  {tree / 'b.cif'}\r\n{tree / 'é.cif'}\n{tree / 'sub'}\n-\nabsent"
    stdin(lines.encode())
    found = list(members(["-", tree / "a.pdb.gz"]))
    assert names(found, tree) == [
        "b.cif", "é.cif", "sub/c.BCIF", "sub/deep/d.ent.zst", "-", "absent", "a.pdb.gz",
    ]  # fmt: skip
    assert [member.problem is None for member in found] == [True] * 4 + [False] * 2 + [True]


def test_a_name_in_a_list_may_have_any_bytes(
    tmp_path: Path, stdin: Callable[[bytes], None]
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.cif"))
    path.write_text("data_x")
    stdin(os.fsencode(path) + b"\n")
    assert [member.path for member in members(["-"])] == [path]


def test_an_unwanted_file_has_a_name_only_and_counts(tree: Path) -> None:
    asked: list[int] = []

    def wanted(index: int) -> bool:
        asked.append(index)
        return index % 2 == 1

    found = list(members([tree, "absent.cif"], wanted=wanted))
    assert asked == list(range(6))
    everything = list(members([tree, "absent.cif"]))
    assert [member.name for member in found] == [member.name for member in everything]
    assert found[1::2] == everything[1::2]
    assert all(m == Member(m.name) for m in found[::2])


def test_one_path_where_a_list_is_due_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="write \\[input\\]"):
        members("a.cif")


def test_a_limit_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ConfigError, match="ratio must be positive, got 0"):
        Limits(ratio=0)
