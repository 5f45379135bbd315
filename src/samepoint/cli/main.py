"""The command line. Exit 0 on success, 2 with one clear line on bad input, never a traceback for it."""

from __future__ import annotations

import sys
from typing import Annotated

import tyro

from samepoint.cli import train
from samepoint.errors import SamepointError

TrainCommand = (
    Annotated[train.TrainDon, tyro.conf.subcommand("don")]
    | Annotated[train.TrainIdenticalView, tyro.conf.subcommand("identical-view")]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `samepoint` command."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit status."""
    try:
        options = tyro.cli(TrainCommand, prog="samepoint", args=arguments)
        train.run(options)
    except SamepointError as error:
        print(f"samepoint: {error}", file=sys.stderr)
        return 2
    return 0
