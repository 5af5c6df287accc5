"""Does each extra bring what its commands need, in an environment that holds nothing else?

Run by ``make extras-test``, which takes a while: every extra gets an empty environment, into which
torch and the wheel with that extra alone are installed, and carries out what the documents say it
is for. Before that, the same commands must fail without the extra and name it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from check_wheel import ROOT, WheelError, build_wheel, call, install, require

# What contributors need; nothing of the package asks for them.
NOT_FOR_USERS = {"parity", "dev", "docs"}

_SAMPLE = "structures/1a8o.cif"
_IMAGES = """
import numpy, PIL.Image, pathlib
random = numpy.random.default_rng(0)
for split in ("train", "val"):
    for label in "ab":
        folder = pathlib.Path("pictures", split, label)
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = random.integers(0, 255, (4, 4, 3), dtype="uint8").repeat(8, 0).repeat(8, 1)
            PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
"""
_ZSTD = f"""
import pathlib, zstandard
text = pathlib.Path("{_SAMPLE}").read_bytes()
pathlib.Path("sample.cif.zst").write_bytes(zstandard.compress(text))
"""
_FCZ = """
import pathlib, foldcomp
text = pathlib.Path("structures/1a8o.pdb").read_text()
atoms = [line for line in text.splitlines() if line.startswith(("ATOM", "TER"))]
pathlib.Path("sample.fcz").write_bytes(foldcomp.compress("sample.pdb", "\\n".join(atoms) + "\\n"))
"""
_XTC = """
import mdtraj
whole = mdtraj.load("structures/1a8o.pdb")
protein = whole.atom_slice(whole.topology.select("protein"))
protein.save_pdb("start.pdb")
mdtraj.join([protein, protein]).save_xtc("run.xtc")
"""
_TOKENIZER = f"""
from provq_protein import StructureTokenizer, Vocabulary
chain = StructureTokenizer.from_pretrained().encode(["{_SAMPLE}"])[0]
vocabulary = Vocabulary.named("strings", codebook_size=chain.codebook_size)
vocabulary.save_pretrained("tokenizer")
from transformers import PreTrainedTokenizerFast
assert len(PreTrainedTokenizerFast.from_pretrained("tokenizer")) > chain.codebook_size
"""
_GRAPH = f"""
from provq_protein import read_backbones
from provq_protein.interop.biopython import to_biopython
from provq_protein.interop.md import to_mdtraj
from provq_protein.interop.pyg import to_pyg
chain = read_backbones("{_SAMPLE}")[0]
assert to_pyg(chain).num_nodes == len(chain)
to_biopython(chain), to_mdtraj([chain])
"""
_PUBLISH = """
from provq_protein import CheckpointError, StructureTokenizer
try:
    StructureTokenizer.from_pretrained("nobody/no-such-model", local_files_only=True)
except CheckpointError as error:
    print(error)
else:
    raise SystemExit("a repository that is not there was loaded")
"""

PROTEIN, VISION = "provq-protein", "provq-vision"
# Extra -> programs of this Python that prepare inputs, and commands; "python" runs a program.
USES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "h5": ((), ((PROTEIN, "encode", _SAMPLE, "-o", "x.h5"), (PROTEIN, "info", "x.h5"))),
    "parquet": (
        (),
        (
            (PROTEIN, "encode", "structures", "-o", "shards/"),
            (PROTEIN, "export", "shards", "-o", "arrays", "--to", "memmap", "--ids", "path"),
        ),
    ),
    "archives": ((_ZSTD,), ((PROTEIN, "encode", "sample.cif.zst"),)),
    "fast": ((), ((PROTEIN, "encode", "structures/1as5.cif.gz"),)),
    "foldcomp": ((_FCZ,), ((PROTEIN, "encode", "sample.fcz"),)),
    "trajectory": ((_XTC,), ((PROTEIN, "encode", "run.xtc", "--topology", "start.pdb"),)),
    "onnx": ((), ((PROTEIN, "encode", _SAMPLE, "--runtime", "onnx"),)),
    "ray": ((), ((PROTEIN, "encode", "structures", "-o", "shards/", "--engine", "ray"),)),
    "train": (
        (),
        (
            (PROTEIN, "prepare", "structures/[12]*", "--output", "chains.h5"),
            (PROTEIN, "train", "--recipe", "smoke", "--data", "chains.h5", "--output", "run"),
        ),
    ),
    "vision": (
        (_IMAGES,),
        ((VISION, "train", "--recipe", "smoke", "--data", "pictures", "--output", "run"),),
    ),
    "vision-metrics": (
        (_IMAGES,),
        (
            (VISION, "train", "--recipe", "smoke", "--data", "pictures", "--output", "run"),
            (
                VISION,
                "eval",
                "--data",
                "pictures",
                "--split",
                "val",
                "--model",
                "run/model",
                "-o",
                "e.json",
            ),
        ),
    ),
    "plm": ((), (("python", _TOKENIZER),)),
    "hub": ((), (("python", _PUBLISH),)),
    "plot": ((), ((PROTEIN, "stability", _SAMPLE, "--plot", "stability.svg"),)),
    "report": ((), ((PROTEIN, "report", _SAMPLE, "-o", "r.html"),)),
    "bench": ((), (("structtokenbench", "tasks"),)),
    "interop": ((), (("python", _GRAPH),)),
}
# Shards are Parquet, which is asked for first; the extra ray brings that as well.
NAMED = {"ray": "parquet"}
# These work without their extra: it makes something faster, or is asked for by a later step.
WORKS_WITHOUT = {"fast", "bench"}


def declared() -> set[str]:
    """Return the extras that users may ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"]) - NOT_FOR_USERS


def carry_out(scripts: Path, extra: str, folder: Path) -> None:
    """Prepare the inputs of an extra and run its commands."""
    programs, commands = USES[extra]
    for program in programs:
        call([scripts / "python", "-I", "-c", program], cwd=folder)
    for command in commands:
        call(_words(scripts, command, folder), cwd=folder)


def _words(scripts: Path, command: Sequence[str], folder: Path) -> list[str | Path]:
    """Return what to call, with patterns of files resolved as a shell would."""
    if command[0] == "python":
        return [scripts / "python", "-I", "-c", command[1]]
    words: list[str | Path] = [scripts / command[0]]
    for word in command[1:]:
        words += sorted(folder.glob(word)) if "*" in word else [word]
    return words


def check_named(scripts: Path, extra: str, folder: Path) -> None:
    """Without the extra, the first command must fail and say which one it needs."""
    programs, commands = USES[extra]
    if programs or extra in WORKS_WITHOUT:
        return
    done = subprocess.run(
        [str(word) for word in _words(scripts, commands[0], folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    require(done.returncode != 0, f"{extra}: works without its packages")
    named = f"provq[{NAMED.get(extra, extra)}]"
    require(named in done.stderr, f"{extra}: is not named: {done.stderr[-500:]}")


def fresh(folder: Path) -> Path:
    """Return a new folder with the sample structures."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "data" / "structures", folder / "structures")
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*", help="which (default: all that users may ask for)")
    parser.add_argument("--torch", default="torch", help="requirement installed before the wheel")
    options = parser.parse_args()
    strangers = declared() ^ set(USES)
    if strangers:
        print(f"extras-test: no use is known of, or no extra is, {sorted(strangers)}")
        return 1
    failed = []
    with tempfile.TemporaryDirectory(prefix="provq-extras-") as name:
        root = Path(name).resolve()
        wheel = build_wheel(root)
        plain = install(wheel, root / "plain", options.torch)
        for extra in options.extras or sorted(USES):
            environment = root / f"with-{extra}"
            try:
                check_named(plain, extra, fresh(root / f"without-{extra}-work"))
                scripts = install(Path(f"{wheel}[{extra}]"), environment, options.torch)
                carry_out(scripts, extra, fresh(root / f"with-{extra}-work"))
                print(f"extras-test: {extra}: works", flush=True)
            except WheelError as error:
                failed.append(extra)
                print(f"extras-test: {extra}: FAILED: {error}", flush=True)
            shutil.rmtree(environment, ignore_errors=True)
    print(f"extras-test: {'failed: ' + ', '.join(failed) if failed else 'all work'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
