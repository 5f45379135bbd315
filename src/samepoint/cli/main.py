"""The command line. Exit 0 on success, 2 with one clear line on bad input, never a traceback for it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from importlib import import_module
from typing import Any

from samepoint.errors import SamepointError, one_of
from samepoint.reading import of_file_system
from samepoint.surroundings import prepare

COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("samepoint.cli.demo", "DemoCommand", "render, train, evaluate and report: see it work"),
    "data": (
        "samepoint.cli.data",
        "Data",
        "render | cell | import | photo | info | pairs | labels | doctor | fuse | calibrate | calibration | cache",
    ),
    "train": ("samepoint.cli.train", "Train", "don | identical-view | ccl | mined | s3k"),
    "evaluate": ("samepoint.cli.evaluate", "Evaluate", "score a run beside its baselines"),
    "compare": ("samepoint.cli.evaluate", "Compare", "score several runs on the same pairs"),
    "find": ("samepoint.cli.find", "Find", "find named keypoints in images"),
    "pose": ("samepoint.cli.pose", "Pose", "find 6-D poses with a mined run"),
    "bench": ("samepoint.cli.bench", "Bench", "measure speed and memory on this machine"),
}
"""Name to module, options and a word of help. A command's module is imported when it is called."""


def main() -> None:
    """Entry point of the `samepoint` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if arguments[0] == "--version":
        import samepoint

        print(samepoint.__version__)
        return 0
    try:
        if arguments[0] not in COMMANDS:
            raise SamepointError(one_of("command", arguments[0], COMMANDS))
        _prepare()
        _options(arguments).run()
    except SamepointError as error:
        print(f"samepoint: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # what no reader or writer has turned into a line of its own
        if isinstance(error, BrokenPipeError):  # who read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"samepoint: {of_file_system(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("samepoint: stopped; a training goes on with --resume", file=sys.stderr)
        return 130
    except SystemExit as error:  # help, or options that do not parse
        return error.code if isinstance(error.code, int) else 2
    return 0


def help_text() -> str:
    lines = [f"  {name:10} {text}" for name, (_, _, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: samepoint COMMAND ...", "", *lines, "", "samepoint COMMAND --help says what it takes."]
    )


def _options(arguments: list[str]) -> Any:
    import tyro

    module, name, _ = COMMANDS[arguments[0]]
    options = getattr(import_module(module), name)
    return tyro.cli(options, prog=f"samepoint {arguments[0]}", args=arguments[1:])


def _prepare() -> None:
    """Settings of libraries that must be made before they are imported.

    Threads of OpenMP that spin while they wait lose their core to any other busy process: with one such process
    beside it, a training step on two cores took thirty times as long. Threads that sleep at once are woken too
    late: nearly twice as long on idle cores. A short spin costs little in either case.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    prepare()
    # Libraries' advice to programmers is no help to who runs a command.
    warnings.filterwarnings("ignore", module=r"lightning|torch|kornia|timm")
    logging.getLogger("lightning").setLevel(logging.ERROR)
