"""What every import does, whatever the form: straightens lenses, leaves nothing behind."""

import cv2
import numpy as np
import pytest
import torch

from samepoint.data import importers
from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset
from samepoint.data.recording import Dataset, DepthFile, Moment, Placement, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens, undistort_image

K = torch.tensor([[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])
LENS = Lens("brown", (-0.3, 0.1, 0.0, 0.0))


@pytest.fixture
def reader(monkeypatch):
    """A form whose reader extracts its files into the scratch folder."""
    seen = []

    def read(source, scratch):
        assert not any(scratch.iterdir())
        seen.append(scratch)
        rng = np.random.default_rng(0)
        cv2.imwrite(str(scratch / "rgb.png"), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        cv2.imwrite(str(scratch / "depth.png"), rng.integers(500, 900, (48, 64), dtype=np.uint16))
        cv2.imwrite(str(scratch / "mask.png"), (rng.random((48, 64)) > 0.5).astype(np.uint8) * 255)
        if source.name == "damaged":
            (scratch / "rgb.png").write_bytes(b"")
        placement = Placement(1, mask=scratch / "mask.png")
        view = View(
            "cam0", scratch / "rgb.png", K, torch.eye(4), DepthFile(scratch / "depth.png", 0.001),
            (placement,), LENS if source.name == "bent" else None,
        )  # fmt: skip
        return Dataset(source, (Recording("one", "scan", (Moment((view,)),)),))

    monkeypatch.setitem(importers.FORMATS, "made", read)
    return seen


def test_extracted_files_are_copied_and_the_scratch_folder_is_gone(reader, tmp_path):
    (tmp_path / "plain").mkdir()
    (view,) = import_dataset("made", tmp_path / "plain", tmp_path / "out").views()
    assert decode_view(view).image.shape == (48, 64, 3)
    assert not reader[0].exists()
    assert {p.name for p in tmp_path.iterdir()} == {"plain", "out"}


def test_a_bent_image_is_straightened_with_its_depth_and_masks(reader, tmp_path):
    for name in ("plain", "bent"):
        (tmp_path / name).mkdir()
    bent, plain = (
        decode_view(import_dataset("made", tmp_path / name, tmp_path / f"{name}-out").views()[0])
        for name in ("bent", "plain")
    )
    np.testing.assert_array_equal(bent.image, undistort_image(plain.image, K, LENS))
    assert (bent.image != plain.image).any()
    np.testing.assert_allclose(
        bent.depth * bent.metres_per_unit,
        undistort_image(plain.depth, K, LENS, "nearest") * plain.metres_per_unit,
    )
    np.testing.assert_array_equal(bent.labels, undistort_image(plain.labels, K, LENS, "nearest"))


def test_nothing_is_left_of_an_import_that_failed(reader, tmp_path):
    (tmp_path / "damaged").mkdir()
    with pytest.raises(DataError, match="is empty"):
        import_dataset("made", tmp_path / "damaged", tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"damaged"}
