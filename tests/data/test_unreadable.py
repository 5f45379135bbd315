"""A file that may not be read and a pointer that Git LFS left are told as what they are, whoever reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samepoint.data.decode import decode_image, decode_mask, depth_values, image_size
from samepoint.data.mesh import read_ply
from samepoint.data.quantile_files import decode_quantiles
from samepoint.data.readers.bask.files import load_dat
from samepoint.data.readers.blenderproc.frame import read_content
from samepoint.data.readers.colmap.binary import binary_cameras
from samepoint.data.readers.labelfusion.vtp import read_vtp
from samepoint.data.readers.lerobot.tables import read_rows
from samepoint.data.readers.lerobot.video import frames_at
from samepoint.data.readers.video import all_frames
from samepoint.data.recording import DepthQuantiles
from samepoint.errors import SamepointError
from samepoint.inference.database import KeypointDatabase
from samepoint.inference.images import image_array
from samepoint.models.pretrained import read_weights
from samepoint.sim.meshes.files import read_parts
from samepoint.training.checkpoint import read_checkpoint

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "image": ("a.png", decode_image),
    "size of an image": ("a.jpg", image_size),
    "image of a robot program": ("a.png", image_array),
    "mask": ("a.png", decode_mask),
    "depth image": ("a.png", depth_values),
    "depth array": ("a.npy", depth_values),
    "depth quantiles": ("a.npy", lambda path: decode_quantiles(DepthQuantiles(path), (4, 4))),
    "mesh": ("a.ply", read_ply),
    "mesh to render": ("a.obj", read_parts),
    "mesh of VTK": ("a.vtp", read_vtp),
    "video": ("a.mp4", lambda path: all_frames(path, path.parent / "frames")),
    "video of LeRobot": ("a.mp4", lambda path: list(frames_at(path, [0.0], 0.1))),
    "table of LeRobot": ("a.parquet", lambda path: list(read_rows(path, ["episode_index"]))),
    "tensors": ("a.dat", load_dat),
    "HDF5": ("a.hdf5", read_content),
    "cameras of COLMAP": ("cameras.bin", binary_cameras),
    "weights": ("a.safetensors", read_weights),
    "older weights": ("a.pth", read_weights),
    "keypoints": ("a.sqlite", lambda path: KeypointDatabase(path).all_references()),
    "checkpoint": ("checkpoints/last.ckpt", lambda path: read_checkpoint(path.parent.parent)),
}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[Path], Any]]:
    name, read = READERS[request.param]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(POINTER)
    return path, read


def refusal(path: Path, read: Callable[[Path], Any]) -> str:
    with pytest.raises(SamepointError, match=f"^{re.escape(str(path))}: ") as error:
        read(path)
    return str(error.value)


def test_a_pointer_of_git_lfs_is_told(reader: tuple[Path, Callable[[Path], Any]]) -> None:
    line = refusal(*reader)
    assert line.startswith(f"{reader[0]}: is a pointer of Git LFS")
    assert line.endswith("git lfs pull")


@pytest.mark.usefixtures("rights_bind")
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    reader: tuple[Path, Callable[[Path], Any]],
) -> None:
    reader[0].chmod(0)
    line = refusal(*reader)
    assert line.startswith(f"{reader[0]}: may not be read (permission denied)")
    assert "damaged" not in line
