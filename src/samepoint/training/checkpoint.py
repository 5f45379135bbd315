"""Checkpoints: everything that a run needs to go on, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from samepoint.errors import DataError, RunError, SamepointError
from samepoint.files import written_whole
from samepoint.reading import explained

VERSION = 3


def checkpoint_path(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def write_checkpoint(run: Path, state: Mapping[str, Any]) -> None:
    """Replace the last checkpoint by `state`. The old one stays if this fails (a full disk, a kill)."""
    path = checkpoint_path(run)
    try:
        with written_whole(path) as file:
            torch.save({"version": VERSION, **state}, file)
    except (OSError, RuntimeError, DataError) as error:  # torch wraps a full disk in a RuntimeError
        raise RunError(
            f"the checkpoint could not be written ({_reason(error)})",
            where=path,
            mend="make room on the disk, then go on with --resume; the checkpoint before it is intact",
        ) from error


def read_checkpoint(run: Path) -> dict[str, Any]:
    """The state that `write_checkpoint` was given."""
    path = checkpoint_path(run)
    if not path.is_file():
        raise RunError("there is no checkpoint to go on from", where=run, mend="start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = f"the checkpoint cannot be read ({_reason(error)})"
        raise explained(RunError(what, where=path), path) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise RunError(
            "the checkpoint is of another version", where=path, mend="train anew into another folder"
        )
    return state


ADDED = {"optimizer": "adamw"}
"""What runs were that were started before their identity said so."""


def check_identity(state: Mapping[str, Any], identity: Mapping[str, Any], run: Path) -> None:
    """RunError if a checkpoint is of another run than one with this identity."""
    for key, value in identity.items():
        before = state["identity"].get(key, ADDED.get(key))
        if before != value:
            raise RunError(
                f"this run was started with {key} = {before!r}, not {value!r}",
                where=run,
                mend="resume with the options and data it was started with, or train into another folder",
            )


def _reason(error: BaseException) -> str:
    if isinstance(error, SamepointError):
        return error.what
    return (str(error) or type(error).__name__).splitlines()[0]
