"""Do the public names, the options and the cheapness of `--help` stay as promised?"""

import subprocess
import sys

import pytest

import provq_protein
from provq_protein import cli

HEAVY = "{'torch', 'numpy', 'biotite', 'h5py', 'safetensors', 'rich'}"


def loaded_by(program: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has imported after a program."""
    report = f"import sys; print('HEAVY', *({HEAVY} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_public_names_are_these() -> None:
    assert provq_protein.__all__ == [
        "Backbone",
        "CheckpointError",
        "ConfigError",
        "MissingExtraError",
        "ModelInputs",
        "ProvqError",
        "ResiduePolicy",
        "StructureError",
        "StructureTokenizer",
        "TokenFormatError",
        "TokenSequence",
        "Vocabulary",
        "load_tokens",
        "read_backbones",
        "save_tokens",
    ]


def test_every_public_name_is_found_and_listed() -> None:
    for name in provq_protein.__all__:
        assert getattr(provq_protein, name).__name__ == name
        assert name in dir(provq_protein)
    assert isinstance(provq_protein.__version__, str)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = provq_protein.nonsense


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert loaded_by("import provq_protein") == set()


def test_help_and_version_import_nothing_heavy() -> None:
    lines = [["--help"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)]
    program = (
        "from provq_protein.cli import main\n"
        f"for line in {lines!r}:\n"
        "    try: main(line)\n"
        "    except SystemExit as ended: assert ended.code == 0\n"
        "    else: raise AssertionError\n"
    )
    assert loaded_by(program) == set()


def test_reading_a_token_file_needs_no_torch() -> None:
    assert "torch" not in loaded_by("from provq_protein import load_tokens, TokenSequence")


def test_the_commands_and_their_options_are_these() -> None:
    subparsers = cli.build_parser()._subparsers._group_actions[0].choices
    names = [
        "encode",
        "decode",
        "info",
        "inspect",
        "export",
        "prepare",
        "train",
        "evaluate",
        "roundtrip",
        "stability",
        "dynamics",
        "report",
        "codebook",
        "doctor",
        "convert-checkpoint",
    ]
    assert list(subparsers) == names
    options = {
        name: [
            "/".join(action.option_strings) or action.dest
            for action in subparsers[name]._actions
            if action.dest != "help"
        ]
        for name in (
            "encode",
            "decode",
            "info",
            "roundtrip",
            "dynamics",
            "report",
            "codebook",
            "doctor",
            "convert-checkpoint",
        )
    }
    assert options == {
        "convert-checkpoint": [
            "paths",
            "-o/--output",
            "--format",
            "--decoder-heads",
            "--overwrite",
        ],
        "report": [
            "inputs",
            "-o/--output",
            "--chains",
            "--model",
            "--structures",
            "--no-viewer",
            "--overwrite",
        ],
        "codebook": ["inputs", "-o/--output", "--chains", "--model", "--overwrite"],
        "doctor": ["--model", "--json"],
        "encode": [
            "files",
            "-o/--output",
            "--format",
            "--model",
            "--overwrite",
            "--topology",
            "--precision",
            "--runtime",
            "--complex",
            "--chains",
            "--models",
            "--assembly",
            "--numbering",
            "--altloc",
            "--unresolved",
            "--min-plddt",
            "--plddt-mode",
            "--b-factors",
            "--sequence",
            "-j/--jobs",
            "--resume",
            "--shard",
            "--shard-size",
            "--time-limit",
            "--device",
            "--engine",
        ],
        "decode": ["tokens", "-o/--output", "--model", "--overwrite"],
        "info": ["path", "--model", "--json"],
        "dynamics": [
            "trajectory",
            "--topology",
            "--chain",
            "--stride",
            "--model",
            "-o/--output",
            "--plot",
            "--json",
            "--overwrite",
        ],
        "roundtrip": ["files", "--chains", "--model", "--json", "-o/--output", "--overwrite"],
    }


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["nonsense"],
        ["encode"],
        ["encode", "x.cif", "--form", "npz"],
        ["encode", "x.cif", "--chains", "A,,B"],
        ["decode", "tokens.npz"],
    ],
)
def test_a_wrong_command_line_ends_with_2(run, line) -> None:
    answer = run(*line)
    assert answer.code == 2
    assert answer.out == ""
    assert "usage: provq-protein" in answer.err


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "provq_protein", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"provq {provq_protein.__version__}\n"


def test_an_interrupt_ends_quietly(run, monkeypatch) -> None:
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("provq_protein.cli.info.describe", interrupted)
    answer = run("info", "x.cif")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == "provq-protein info: interrupted\n"
