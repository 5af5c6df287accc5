"""Draw and measure images of trained models, and write one results file for each.

    python benchmarks/image_generation/measure.py gpts/* --tokenizers tokenizers/* \
        --data tiny_imagenet_100.tar

The first folders are what ``provq-vision train-ar`` wrote to its end, the others what
``provq-vision train`` wrote; which tokenizer a model belongs to is recorded in it. Samples that
were measured before are kept: the same command goes on with a measurement that was interrupted.
``real.json`` holds the same scores of as many real images.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from image_tokenizers.rows import row_of  # noqa: E402
from reporting.curves import METRICS, read_curves  # noqa: E402
from reporting.files import save_results  # noqa: E402
from reporting.machine import machine, versions  # noqa: E402

from image_generation import results as results_file  # noqa: E402
from image_generation.ruler import Ruler, bar  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402
from provq_protein.runs import checkpoint  # noqa: E402
from provq_protein.runs.loop import MODEL  # noqa: E402
from provq_vision.drawing import class_ids, draw  # noqa: E402
from provq_vision.generation.choosing import Sampling  # noqa: E402
from provq_vision.generation.folder import TrainedGpt  # noqa: E402
from provq_vision.images.pictures import grid, save_png  # noqa: E402
from provq_vision.metrics.generation.samples import open_samples  # noqa: E402
from provq_vision.samples import DrawPlan, SampleSet  # noqa: E402
from provq_vision.tokenizer import ImageTokenizer  # noqa: E402

if TYPE_CHECKING:
    from provq_vision.metrics.generation.record import SampleScores

_PACKAGES = ("provq", "torch", "numpy", "pillow")
WIDTH = 16
# Of the picture: classes are rows.
_PICTURED_CLASSES, _PICTURED_IMAGES = 8, 8


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("models", nargs="+", type=Path, metavar="GPT_RUN")
    add("--tokenizers", nargs="+", type=Path, required=True, metavar="TOKENIZER_RUN")
    add("--data", required=True, metavar="PATH", help="folder or .tar of images")
    add("--reference-split", default="test", help="compared with (default: test)")
    add("--real-split", default="val", help="real images and reconstructions (default: val)")
    add(
        "--per-class", type=int, default=10, metavar="N", help="samples of each class (default: 10)"
    )
    add(
        "--guidance",
        type=float,
        nargs="+",
        default=[1.0, 1.5, 2.0, 3.0],
        metavar="S",
        help="scales of classifier-free guidance (default: 1 1.5 2 3)",
    )
    add(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        metavar="N",
        help="of the samples at the second scale; the first alone at the others (default: 0 1 2)",
    )
    add("--features", default="efficientnet-lite0", metavar="NAME", help="default: %(default)s")
    # On one core, batches of 64 spend most of their time on getting memory for the features.
    add("--batch-size", type=int, default=4, help="images at once (default: 4)")
    add("--threads", type=int, default=1, help="CPU threads (default: 1)")
    add(
        "--cache",
        type=Path,
        default=REPOSITORY / "work" / "image_generation",
        metavar="FOLDER",
        help="keeps samples and features (default: work/image_generation of the repository)",
    )
    add(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        metavar="FOLDER",
        help="of the files that are written",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure and write.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 2 if something cannot be read; what was measured before is kept.
    """
    from rich.console import Console
    from rich.progress import Progress

    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        with Progress(console=Console(stderr=True)) as bars:
            ruler = Ruler(args, bars)
            tokenizers = {
                found.fingerprint: (folder, found)
                for folder in args.tokenizers
                for found in [ImageTokenizer.from_pretrained(folder / MODEL)]
            }
            for run in args.models:
                gpt = TrainedGpt.load(run / MODEL)
                if gpt.tokenizer not in tokenizers:
                    msg = f"{run}: none of --tokenizers has the fingerprint {gpt.tokenizer}"
                    raise ConfigError(msg)
                print(f"wrote {measure(run, gpt, *tokenizers[gpt.tokenizer], ruler)}")
    except (ProvqError, OSError, ValueError) as error:
        print(f"measure.py: error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(
    run: Path, gpt: TrainedGpt, folder: Path, tokenizer: ImageTokenizer, ruler: Ruler
) -> Path:
    """
    Measure one model.

    Parameters
    ----------
    run : Path
        Folder of its run.
    gpt : TrainedGpt
        The model.
    folder : Path
        Folder of the run of its tokenizer.
    tokenizer : ImageTokenizer
        The tokenizer.
    ruler : Ruler
        What it is measured with.

    Returns
    -------
    Path
        Of the results.
    """
    record = checkpoint.load_document(folder / MODEL / checkpoint.CONFIG)["training"]
    row, seed = row_of(record["recipe"]).key, gpt.training["recipe"]["seed"]
    path = results_file.path_of(ruler.args.results, row, seed)
    size = tokenizer.size_for(None)
    label = path.stem
    write_real(ruler, size)
    document = {
        "format": results_file.FORMAT,
        "format_version": results_file.FORMAT_VERSION,
        "row": row,
        "seed": seed,
        "tokenizer": {"fingerprint": tokenizer.fingerprint, "training": record},
        "gpt": {
            "fingerprint": gpt.fingerprint(),
            "parameters": sum(one.numel() for one in gpt.model.parameters()),
            "training": dict(gpt.training),
        },
        "per_class": ruler.args.per_class,
        "width": WIDTH,
        "curves": read_curves(run / METRICS, train=("loss",), validation=("loss",)),
        "machine": machine(),
        "versions": versions(_PACKAGES),
    }
    kept = _kept(path, document)
    document["scores"] = kept.get("scores") or reconstructions(tokenizer, ruler, label).to_json()
    document["samples"] = []
    for guidance, sample_seed in _wanted(ruler.args.guidance, ruler.args.seeds):
        entry = {"guidance": guidance, "seed": sample_seed}
        same = [one for one in kept.get("samples", ()) if entry.items() <= one.items()]
        document["samples"].append(
            same[0] if same else entry | drawn(gpt, tokenizer, ruler, entry, label)
        )
        save_results(path, document)
    document["picture"] = picture(gpt, tokenizer, path, guidance=ruler.args.guidance[1])
    save_results(path, document)
    return path


def _wanted(scales: Sequence[float], seeds: Sequence[int]) -> Iterable[tuple[float, int]]:
    for number, guidance in enumerate(scales):
        for seed in seeds if number == 1 else seeds[:1]:
            yield guidance, seed


def _kept(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured before of the same model in the same way."""
    if not path.is_file():
        return {}
    found = results_file.load(path)
    same = all(found[name] == document[name] for name in ("gpt", "tokenizer", "per_class", "width"))
    return found if same else {}


def write_real(ruler: Ruler, size: int) -> None:
    """
    Measure real images as if they were samples, once.

    Parameters
    ----------
    ruler : Ruler
        What they are measured with.
    size : int
        Sides in pixels.
    """
    path = ruler.args.results / f"{results_file.REAL}.json"
    if path.is_file():
        return
    scores = ruler.scores(ruler.others, size, "real images")
    save_results(
        path,
        {
            "format": results_file.FORMAT,
            "format_version": results_file.FORMAT_VERSION,
            "scores": scores.to_json(),
            "machine": machine(),
            "versions": versions(_PACKAGES),
        },
    )


def reconstructions(tokenizer: ImageTokenizer, ruler: Ruler, label: str) -> "SampleScores":
    """
    Measure what the tokenizer leaves of real images: a model of perfect tokens would do as well.

    Parameters
    ----------
    tokenizer : ImageTokenizer
        The tokenizer.
    ruler : Ruler
        What it is measured with.
    label : str
        For the progress bar.

    Returns
    -------
    SampleScores
        Of reconstructions.
    """
    images = [found.pixels for found in tokenizer.reconstruct(ruler.others)]
    path = ruler.args.cache / f"{label}.reconstructions.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, arr_0=np.stack(images))
    return ruler.scores(open_samples([path]), images[0].shape[0], f"{label} reconstructions")


def drawn(
    gpt: TrainedGpt, tokenizer: ImageTokenizer, ruler: Ruler, entry: dict[str, Any], label: str
) -> dict[str, Any]:
    """
    Draw images of all classes and measure them.

    Parameters
    ----------
    gpt : TrainedGpt
        The model.
    tokenizer : ImageTokenizer
        Decodes its tokens.
    ruler : Ruler
        What the images are measured with.
    entry : dict
        Guidance and seed.
    label : str
        For progress bars and files.

    Returns
    -------
    dict
        The scores, and how many codes the samples use.
    """
    plan = DrawPlan(classes=class_ids(gpt), per_class=ruler.args.per_class, seed=entry["seed"])
    label = f"{label} guidance {entry['guidance']:g} seed {entry['seed']}"
    with bar(ruler.bars, f"{label}: drawing", plan.total) as advance:
        found = draw(
            gpt,
            tokenizer,
            plan,
            sampling=Sampling(guidance=entry["guidance"]),
            width=WIDTH,
            on_done=advance,
        )
    path = ruler.args.cache / f"{label.replace(' ', '-')}.npz"
    found.save(path, overwrite=True)
    scores = ruler.scores(open_samples([path]), found.images.shape[1], label)
    return {"codes_used": len(np.unique(found.ids)), "scores": scores.to_json()}


def picture(gpt: TrainedGpt, tokenizer: ImageTokenizer, path: Path, *, guidance: float) -> str:
    """
    Draw the first images of some classes, one class a row.

    Parameters
    ----------
    gpt : TrainedGpt
        The model.
    tokenizer : ImageTokenizer
        Decodes its tokens.
    path : Path
        Of the results; the picture lies beside them.
    guidance : float
        Scale.

    Returns
    -------
    str
        Name of the picture.
    """
    number = gpt.model.config.num_classes
    rows = min(number, _PICTURED_CLASSES)
    classes = [row * number // rows for row in range(rows)]
    plan = DrawPlan(classes=classes, per_class=_PICTURED_IMAGES)
    found: SampleSet = draw(gpt, tokenizer, plan, sampling=Sampling(guidance=guidance), width=WIDTH)
    images = found.images.reshape(rows, _PICTURED_IMAGES, *found.images.shape[1:])
    save_png(path.with_suffix(".png"), grid([list(row) for row in images]))
    return path.with_suffix(".png").name


if __name__ == "__main__":
    sys.exit(main())
