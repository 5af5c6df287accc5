"""Do the commands and programs that the documents show work as shown?

Shell and Python blocks run in order, beside a copy of `data/`, with the command lines of the
environment that runs the tests. Lines that set a machine up are recognised and not run: `make` and
`pip install` (the wheel test and CI are about those).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

NOT_RUN = ("make ", "pip install ")
# Pages whose blocks cannot be run here, and why.
NOT_RUN_PAGES = {
    "docs/reproducing_images.md": "reads what weeks of training on ImageNet leave",
}
# What the page on large runs names, and what stands for it in a test.
LARGE_RUNS = {
    "/data/pdb/": "data/structures/",
    "/scratch/pdb-tokens/": "pdb-tokens/",
    "/shared/pdb-tokens/": "ray-tokens/",
    "-j 64": "-j 1",
    "-j 8": "-j 2",
    "/64": "/4",
    "RAY_ADDRESS=auto ": "",
    "--chains 2000": "--chains 24",
    # Nothing went wrong: there is no line to show.
    "manifest-*.jsonl\n": "manifest-*.jsonl || true\n",
}
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return the language and text of every executable block of a document."""
    return BLOCK.findall(path.read_text(encoding="utf-8"))


def commands(block: str) -> list[str]:
    """Return the commands of a shell block, without comments and set-up lines."""
    joined = block.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    return [
        line for line in lines if line and not line.startswith("#") and not line.startswith(NOT_RUN)
    ]


@pytest.fixture
def workplace(repo_root: Path, tmp_path: Path) -> Path:
    if not (repo_root / "provq_protein" / "models" / "default").is_dir():
        pytest.skip("no default model in provq_protein/models/default: nothing can be encoded")
    shutil.copytree(repo_root / "data", tmp_path / "data")
    return tmp_path


def run(command: list[str], folder: Path) -> None:
    environment = dict(os.environ, SLURM_ARRAY_TASK_ID="1", SLURM_CPUS_PER_TASK="1")
    scripts = Path(sys.executable).parent
    environment["PATH"] = os.pathsep.join([str(scripts), environment.get("PATH", "")])
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"{shlex.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    )


def run_document(path: Path, folder: Path, *, accepted: tuple[str, ...] = ()) -> int:
    """
    Run every block of a document in a folder; return how many commands and programs ran.

    Warnings of programs are errors, but for those that filters as of ``python -W`` accept.
    """
    filters = [word for one in ("error", *accepted) for word in ("-W", one)]
    count = 0
    for language, block in blocks(path):
        if language == "python":
            run([sys.executable, *filters, "-c", block], folder)
            count += 1
        else:
            for command in commands(block):
                run(["bash", "-euo", "pipefail", "-c", command], folder)
                count += 1
    return count


def test_the_readme_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "README.md", workplace) >= 6


def test_the_formats_page_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "docs" / "formats.md", workplace) >= 2


def test_the_outputs_page_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "docs" / "outputs.md", workplace) >= 2


def test_the_quantizer_page_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "docs" / "quantizers.md", workplace) >= 1


def test_the_page_on_complexes_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "docs" / "complexes.md", workplace) >= 6


def test_the_page_on_models_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    assert run_document(repo_root / "docs" / "models.md", workplace) >= 5


def test_set_up_lines_are_left_out_and_everything_else_is_not() -> None:
    block = "make demo  # x\n# note\npip install .\n\nprovq-protein encode a \\\n  b\nls\n"
    assert commands(block) == ["provq-protein encode a    b", "ls"]


def test_a_failing_command_in_a_document_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\ntrue\nfalse | cat\n```\n")
    with pytest.raises(AssertionError, match="false"):
        run_document(page, tmp_path)


def test_an_unclosed_or_unnamed_fence_does_not_hide_a_command(repo_root: Path) -> None:
    # Only `bash` and `python` blocks run, so a block in another dialect would never be checked.
    for name in ("README.md", "docs/formats.md", "docs/language_models.md", "docs/quantizers.md"):
        path = repo_root / name
        fences = re.findall(r"^```(\w*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= {"bash", "python", "text", "json"}, path
        assert set(fences[1::2]) == {""}, path


def test_the_page_on_images_runs_as_shown(repo_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="images need the extra 'vision'")
    assert run_document(repo_root / "docs" / "vision.md", tmp_path) >= 7


def test_the_page_on_tokens_over_time_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    if find_spec("mdtraj") is None or find_spec("matplotlib") is None:
        pytest.skip("trajectories and figures need the extras 'trajectory' and 'plot'")
    assert run_document(repo_root / "docs" / "dynamics.md", workplace) >= 5


def test_the_page_on_other_libraries_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    if any(find_spec(name) is None for name in ("torch_geometric", "mdtraj", "Bio")):
        pytest.skip("graphs, trajectories and structures need the extra 'interop'")
    # Some releases of torch-geometric compile TorchScript when they are imported.
    accepted = ("ignore:`torch.jit:DeprecationWarning",)
    assert run_document(repo_root / "docs" / "interop.md", workplace, accepted=accepted) >= 3


def test_the_page_on_language_models_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    if find_spec("transformers") is None:
        pytest.skip("its tokenizers need the extra 'plm'")
    assert run_document(repo_root / "docs" / "language_models.md", workplace) >= 4


def test_the_page_on_peers_weights_runs_as_shown(repo_root: Path, tmp_path: Path) -> None:
    # Its other blocks need weights that nobody else may pass on.
    assert run_document(repo_root / "docs" / "peers_weights.md", tmp_path) >= 1


def test_the_page_on_reports_runs_as_shown(repo_root: Path, workplace: Path) -> None:
    if find_spec("molstar_cli") is None:
        pytest.skip("the 3D view needs the extra 'report'")
    assert run_document(repo_root / "docs" / "reports.md", workplace) >= 5


@pytest.fixture
def archive(workplace: Path) -> Path:
    """Put a small archive in the place of a proteome."""
    path = workplace / "UP000005640_9606_HUMAN_v4.tar"
    with tarfile.open(path, "w") as file:
        for one in ("1a8o.cif", "1as5.cif.gz", "3jqh.cif"):
            file.add(workplace / "data" / "structures" / one, arcname=one)
    return path


def test_the_page_on_inputs_runs_as_shown(repo_root: Path, workplace: Path, archive: Path) -> None:
    assert archive.is_file()
    assert run_document(repo_root / "docs" / "inputs.md", workplace) >= 1


def test_the_page_on_large_runs_runs_in_small(
    repo_root: Path, workplace: Path, archive: Path
) -> None:
    assert archive.is_file()
    shared = Path(os.environ.get("PROVQ_SHARED_DATA", repo_root.parent / "shared" / "data"))
    if find_spec("pyarrow") is None:
        pytest.skip("shards need the extra 'parquet'")
    text = (repo_root / "docs" / "scaling.md").read_text(encoding="utf-8")
    for large, small in LARGE_RUNS.items():
        assert large in text, f"{large!r} is not on the page any more"
        text = text.replace(large, small)
    if find_spec("ray") is None:
        text = "\n".join(line for line in text.splitlines() if "--engine ray" not in line)
    if not (shared / "backbones.npz").is_file():
        shutil.copyfile(archive, workplace / "chains.tar")
        text = "\n".join(line for line in text.splitlines() if "make_tar.py" not in line)
    else:
        text = text.replace("../shared/data", str(shared))
    (workplace / "benchmarks").symlink_to(repo_root / "benchmarks")
    (workplace / "scaling.md").write_text(text)
    assert run_document(workplace / "scaling.md", workplace) >= 7


def test_every_page_with_commands_is_run(repo_root: Path) -> None:
    program = Path(__file__).read_text(encoding="utf-8")
    pages = [repo_root / "README.md", *sorted((repo_root / "docs").rglob("*.md"))]
    not_run = [
        path.relative_to(repo_root).as_posix()
        for path in pages
        if any(commands(block) for _, block in blocks(path))
        and f'"{path.name}", workplace' not in program
        and f'"{path.name}", tmp_path' not in program
        and path.name not in {"scaling.md"}
    ]
    assert not_run == sorted(NOT_RUN_PAGES)
