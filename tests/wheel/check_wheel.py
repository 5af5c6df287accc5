"""Does the built wheel work in an empty environment, away from the source tree?

Run by ``make wheel-test``. Builds the wheel with the tools of the running interpreter, looks into
it, installs it into a new virtual environment that holds only its own dependencies, and uses it
from a temporary folder. Exits with 1 and a reason at the first thing that is wrong.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {"provq_protein", "provq_vision", "structtokenbench"}
REQUIRED = (
    "provq_protein/py.typed",
    "provq_protein/models/default/README.md",
    "provq_protein/models/default/config.json",
    "provq_protein/models/default/expected.json",
    "provq_protein/models/default/model.safetensors",
    "provq_protein/models/golden/1a8o.cif",
    "provq_protein/models/golden/expected.json",
    "provq_protein/reports/assets/default_codes.npz",
    "provq_protein/reports/assets/dictionary.css",
    "provq_protein/reports/assets/dictionary.js",
    "provq_protein/reports/assets/page.css",
    "provq_protein/reports/assets/tables.js",
    "provq_protein/reports/assets/viewer.js",
    "provq_vision/gpt_training/recipes/llamagen_b.toml",
    "provq_vision/py.typed",
    "structtokenbench/py.typed",
)
CONSOLE_SCRIPTS = ("provq-protein", "provq-vision", "structtokenbench")
MODEL_BYTES = 30_000_000
WHEEL_BYTES = 40_000_000


class WheelError(Exception):
    """The wheel is not what a user needs."""


def say(text: str) -> None:
    print(f"wheel-test: {text}", flush=True)


def call(
    command: Sequence[str | Path], *, cwd: Path, expect: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command without any trace of the source tree in its environment."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != expect:
        shown = " ".join(str(word) for word in command)
        msg = (
            f"`{shown}` exited with {done.returncode}, expected {expect}\n"
            f"--- stdout\n{done.stdout[-3000:]}\n--- stderr\n{done.stderr[-3000:]}"
        )
        raise WheelError(msg)
    return done


def require(condition: bool, message: str) -> None:
    if not condition:
        raise WheelError(message)


def build_wheel(folder: Path) -> Path:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    call(build, cwd=folder)
    wheels = list(folder.glob("provq-*.whl"))
    require(len(wheels) == 1, f"expected one wheel in {folder}, found {wheels}")
    return wheels[0]


def check_contents(wheel: Path) -> None:
    """Compare what lies in the wheel with what must and must not."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    missing = [name for name in REQUIRED if name not in sizes]
    require(not missing, f"{wheel.name} lacks {missing}")
    for package in ("provq_protein", "provq_vision"):
        recipes = {path.name for path in (ROOT / package / "recipes").glob("*.toml")}
        shipped = {Path(name).name for name in sizes if name.startswith(f"{package}/recipes/")}
        require(
            bool(recipes) and recipes <= shipped,
            f"{package} has recipes {recipes}, but the wheel has {shipped}",
        )
    tops = {name.split("/", 1)[0] for name in sizes}
    strangers = sorted(top for top in tops - TOP_LEVEL if not top.endswith(".dist-info"))
    require(not strangers, f"{wheel.name} holds unexpected top-level names: {strangers}")
    caches = [name for name in sizes if "__pycache__" in name or name.endswith(".pyc")]
    require(not caches, f"{wheel.name} holds caches: {caches[:3]}")
    model = sizes["provq_protein/models/default/model.safetensors"]
    require(model <= MODEL_BYTES, f"the default model has {model} bytes, at most {MODEL_BYTES}")
    total = wheel.stat().st_size
    require(total <= WHEEL_BYTES, f"{wheel.name} has {total} bytes, at most {WHEEL_BYTES}")
    say(f"{wheel.name}: {len(sizes)} files, {total / 1e6:.1f} MB, contents as expected")


def check_release(wheel: Path, folder: Path) -> None:
    """Ask the tools of the index, and build the wheel again from the source distribution."""
    build = [sys.executable, "-m", "build", "--no-isolation"]
    call([*build, "--sdist", "--outdir", folder, ROOT], cwd=folder)
    sources = next(folder.glob("provq-*.tar.gz"))
    call([sys.executable, "-m", "twine", "check", "--strict", wheel, sources], cwd=folder)
    # From the checkout, whose pyproject.toml says what is meant.
    call([sys.executable, "-m", "check_wheel_contents", wheel], cwd=ROOT)
    again, unpacked = folder / "again", folder / "unpacked"
    shutil.unpack_archive(sources, unpacked, filter="data")
    call([*build, "--wheel", "--outdir", again, next(unpacked.iterdir())], cwd=folder)
    names = [set(zipfile.ZipFile(path).namelist()) for path in (wheel, next(again.glob("*.whl")))]
    require(names[0] == names[1], f"the sources make another wheel: {names[0] ^ names[1]}")
    say(f"{sources.name}: makes the same wheel; twine and check-wheel-contents have no complaint")


def install(wheel: Path, environment: Path, torch: str) -> Path:
    """Create an empty environment, install torch and the wheel, return its scripts folder."""
    call([sys.executable, "-m", "venv", environment], cwd=environment.parent)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = [scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    say(f"installing {torch} and {wheel.name} into an empty environment")
    call([*pip, *shlex.split(torch)], cwd=environment.parent)
    call([*pip, wheel], cwd=environment.parent)
    return scripts


def use_command_line(scripts: Path, folder: Path) -> None:
    """Encode the sample structures, decode the tokens, describe the files."""
    provq = scripts / "provq-protein"
    samples = folder / "structures"
    shutil.copytree(ROOT / "data" / "structures", samples)
    files = sorted(path for path in samples.iterdir() if not path.name.startswith("."))
    call([provq, "--help"], cwd=folder)
    lines = call([provq, "encode", *files], cwd=folder).stdout.splitlines()
    chains = [json.loads(line) for line in lines]
    require(len(chains) >= len(files), f"{len(files)} files gave {len(chains)} chains")
    for chain in chains:
        same = len(chain["ids"]) == len(chain["sequence"]) == len(chain["resolved"])
        require(same, f"{chain['file']} chain {chain['chain_id']}: lengths differ")
    call([provq, "encode", *files, "-o", "x.npz"], cwd=folder)
    call([provq, "decode", "x.npz", "-o", "decoded"], cwd=folder)
    decoded = list((folder / "decoded").glob("*.cif"))
    require(len(decoded) == len(chains), f"{len(chains)} chains, {len(decoded)} decoded files")
    for path in ("x.npz", files[0], decoded[0]):
        call([provq, "info", path], cwd=folder)
    say(f"provq-protein: {len(files)} files, {len(chains)} chains encoded and decoded")


def check_missing_extra(scripts: Path, folder: Path) -> None:
    """Without h5py, the error must name the extra that brings it."""
    sample = next(iter(sorted((folder / "structures").glob("[!.]*"))))
    command = [scripts / "provq-protein", "encode", sample, "-o", "x.h5"]
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False
    )
    require(done.returncode != 0, "writing HDF5 without h5py succeeded: is h5py a core dependency?")
    require("provq[h5]" in done.stderr, f"the error names no extra: {done.stderr}")
    require("Traceback" not in done.stderr, f"a traceback for a missing extra: {done.stderr}")
    say("a missing extra is named")


def check_console_scripts(scripts: Path, folder: Path) -> None:
    for name in CONSOLE_SCRIPTS:
        require((scripts / name).exists(), f"no console script {name}")
    done = call([scripts / "provq-vision"], cwd=folder, expect=2)
    require("usage: provq-vision" in done.stderr, f"provq-vision answered: {done.stderr}")
    done = call([scripts / "structtokenbench", "tasks"], cwd=folder)
    require(len(done.stdout.splitlines()) == 12, f"structtokenbench tasks: {done.stdout}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--torch", default="torch", help="requirement (and pip options) installed before the wheel"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="provq-wheel-") as name:
        folder = Path(name).resolve()
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        try:
            wheel = build_wheel(folder)
            check_contents(wheel)
            check_release(wheel, folder)
            scripts = install(wheel, folder / "environment", options.torch)
            check_console_scripts(scripts, elsewhere)
            use_command_line(scripts, elsewhere)
            check_missing_extra(scripts, elsewhere)
            program = shutil.copy(ROOT / "tests" / "wheel" / "use_installed.py", elsewhere)
            # -I: neither the current folder nor PYTHONPATH can bring the source tree in.
            call([scripts / "python", "-I", program, ROOT, "x.npz"], cwd=elsewhere)
            say("the Python API reads recipes, model and token file")
        except WheelError as error:
            print(f"wheel-test: FAILED: {error}", file=sys.stderr)
            return 1
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
