"""The .dat files of BASK and TAPAS: what torch.save wrote, read without running what a pickle says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from samepoint.data.checks import checked_poses, numbers
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

AGAIN = "copy or record the file again"


def load_dat(path: Path) -> Any:
    """Tensors, None, or lists and dicts of them. DataError for anything else."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = (
            "holds a TensorDict" if "tensordict" in str(error) else "holds more than tensors, or is damaged"
        )
        mend = "save a tensor with torch.save"
        raise explain_unreadable(path) or DataError(what, where=path, mend=mend) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"is not a readable tensor file ({line})"
        raise explain_unreadable(path) or DataError(what, where=path, mend=AGAIN) from error


def load_image(path: Path, size: tuple[int, int]) -> np.ndarray | None:
    """An array of an image's size, such as depth or a mask; None if there is no file, or None in it."""
    content = load_dat(path) if path.is_file() else None
    if content is None:
        return None
    values = content.numpy() if isinstance(content, Tensor) else np.empty(0)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.shape != size:
        found = tuple(content.shape) if isinstance(content, Tensor) else type(content).__name__
        what = f"is {found}, but the image is {size[0]} {size[1]}"
        raise DataError(what, where=path, mend=AGAIN)
    return values


def load_matrix(path: Path, rows: int) -> Float64[np.ndarray, "rows rows"] | None:
    """A square matrix; None if there is no file."""
    content = load_dat(path) if path.is_file() else None
    if content is None:
        return None
    if isinstance(content, Tensor):
        content = content.tolist()
    return numbers(content, rows * rows, path).reshape(rows, rows)


def load_object_poses(path: Path) -> dict[str, Float[Tensor, "4 4"]]:
    """`world_from_object` by name, from x y z and a quaternion, real part first; other entries are left out.

    So is a TensorDict, as newer programs save it: it cannot be read without running what its pickle says.
    """
    try:
        content = load_dat(path) if path.is_file() else None
    except DataError as error:
        if not error.what.endswith("TensorDict"):
            raise
        return {}
    poses: dict[str, Float[Tensor, "4 4"]] = {}
    for name, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, Tensor) and value.shape == (7,):
            pose = np.eye(4)
            values = value.double().numpy()
            pose[:3, :3] = rotation_from_quaternion(values[3:], f"{path} {name}")
            pose[:3, 3] = values[:3]
            (poses[str(name)],) = checked_poses([pose], [f"{path} {name}"])
    return poses
