"""How does a command line name a model, the same for every command?"""

import argparse

MODEL = "PATH|USER/NAME[@REVISION]"


def add_model_option(parser: argparse.ArgumentParser, *, which: str = "") -> None:
    """
    Declare ``--model``.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command that takes a model. The value is for ``from_pretrained``, or whatever else
        calls ``model_folder``.
    which : str
        Which model is meant, in a few words, where it is not just any.
    """
    what = f"model {which}" if which else "model"
    parser.add_argument(
        "--model",
        metavar=MODEL,
        help=f"{what}: a folder, or a repository of the Hugging Face Hub (default: the shipped "
        "model)",
    )
