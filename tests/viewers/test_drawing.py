from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samepoint.errors import DataError
from samepoint.inference.finder import Hit
from samepoint.viewers.drawing import (
    contact_sheet,
    draw_heatmap,
    draw_hits,
    draw_rows,
    draw_views,
    heat_overlay,
)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((121, 163, 3), 128, dtype=np.uint8)


def test_hits_are_drawn_at_their_place_on_the_image_at_its_own_size(tmp_path: Path, grey: np.ndarray) -> None:
    hits = {"handle $x_": Hit((40.0, 60.0), 0.9, True), "Öse": Hit((120.5, 30.0), 0.1, False)}
    draw_hits(tmp_path / "a.png", grey, hits)
    drawn = read(tmp_path / "a.png")
    assert drawn.shape == grey.shape
    changed = np.abs(drawn - 128).max(axis=-1) > 8
    for u, v in ((40, 60), (120, 30)):
        assert changed[v - 4 : v + 5, u - 4 : u + 5].any()
    assert not changed[100:, :].any()
    draw_hits(tmp_path / "none.png", grey, {})
    assert np.array_equal(read(tmp_path / "none.png"), grey)


def test_convention_a_ring_is_centred_on_its_pixel(tmp_path: Path) -> None:
    black = np.zeros((201, 201, 3), dtype=np.uint8)
    draw_hits(tmp_path / "a.png", black, {"x": Hit((60.0, 100.0), 1.0, True)})
    ring = read(tmp_path / "a.png")[96:105, 56:65].max(axis=-1)
    assert ring.max() > 100
    assert ring[4, 4] == 0
    assert np.allclose(ring[:, :5], ring[::-1, :5], atol=2)  # the right part lies under the label
    assert np.allclose(ring[:5, :5], ring[:5, :5].T, atol=2)


def test_views_are_drawn_side_by_side(tmp_path: Path) -> None:
    images = {
        "left": np.zeros((120, 160, 3), np.uint8),
        "right": np.zeros((100, 140, 3), np.uint8),
        **{f"cam{k}": np.zeros((120, 160, 3), np.uint8) for k in range(3)},
    }
    hits = {
        camera: {"x": Hit((40.0, 70.0), 0.9, True), "out": Hit((-9.0, 400.0), 0.9, True)} for camera in images
    }
    draw_views(tmp_path / "a.png", images, {**hits, "cam0": {}})
    drawn = read(tmp_path / "a.png").max(axis=-1)
    assert drawn.shape == (2 * 120, 4 * 160)
    ringed = [
        (v, u) for v in (0, 120) for u in (0, 160, 320, 480) if drawn[v + 64 : v + 77, u + 34 : u + 47].any()
    ]
    assert ringed == [(0, 0), (0, 160), (0, 480), (120, 0)]
    assert not drawn[120:, 200:].any()
    many = {"left": {str(k): Hit((80.0, 90.0), 1.0, True) for k in range(13)}}
    draw_views(tmp_path / "b.png", {"left": images["left"]}, many)
    assert not read(tmp_path / "b.png")[:, 100:].any()  # too many for their names


def test_rows_become_one_picture_each(tmp_path: Path, grey: np.ndarray) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.fromarray(grey).save(tmp_path / name / "photo.png")
    hits = {"a": {"uv": [3.0, 4.0], "confidence": 0.5, "visible": True}}
    rows = [
        {"image": str(tmp_path / n / "photo.png"), "size": [121, 163], "hits": hits} for n in ("one", "two")
    ]
    written = draw_rows(rows, tmp_path / "out" / "deep")
    assert [path.name for path in written] == ["photo.png", "photo_2.png"]
    assert all(read(path).shape == grey.shape for path in written)


def test_heat_is_brightest_where_it_is_largest(grey: np.ndarray, tmp_path: Path) -> None:
    heat = np.zeros(grey.shape[:2], dtype=np.float32)
    heat[50, 60], heat[50, 80] = 1.0, 0.3
    shown = heat_overlay(grey, heat).astype(int)
    assert shown.shape == grey.shape
    saturation = shown.max(-1) - shown.min(-1)
    assert saturation[50, 60] > saturation[50, 80] > saturation[0, 0] == 0
    draw_heatmap(tmp_path / "heat.png", grey, heat, Hit((60.0, 50.0), 1.0, True))
    assert read(tmp_path / "heat.png").shape == grey.shape


def test_contact_sheets_hold_images_of_any_size(tmp_path: Path, grey: np.ndarray) -> None:
    contact_sheet(tmp_path / "sheet.png", [grey, grey[:30], grey[:, :20]], ["a", "b $ c"], columns=2)
    sheet = read(tmp_path / "sheet.png")
    assert sheet.shape[0] > 300
    assert (np.abs(sheet - 128).max(-1) < 3).mean() > 0.1
    contact_sheet(tmp_path / "empty.png", [])
    assert (tmp_path / "empty.png").is_file()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, grey: np.ndarray, monkeypatch) -> None:
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(DataError, match="cannot be written"):
        draw_hits(tmp_path / "a.png", grey, {})
