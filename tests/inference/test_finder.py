from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.errors import DataError, RunError
from samepoint.inference.database import KeypointDatabase
from samepoint.inference.finder import Finder, Hit
from samepoint.inference.matcher import NameMatcher, Places

POINT = (150.0, 130.0)
"""The scene point that is asked for."""


def pixel(corner: tuple[float, float], scale: float) -> tuple[float, float]:
    """Where POINT is in the image `scene(..., corner, scale)`."""
    return (POINT[0] - corner[0]) / scale, (POINT[1] - corner[1]) / scale


@pytest.mark.parametrize(
    ("size", "corner", "scale"),
    [
        ((240, 320), (10.3, 20.7), 1.0),  # working size
        ((480, 640), (10.3, 20.7), 0.5),  # scaled by 1/2
        ((333, 517), (31.0, 7.5), 0.7),  # not a whole ratio, sides not a multiple of the stride
        ((96, 128), (90.0, 100.2), 1.0),  # smaller than the working size: not enlarged
        ((520, 300), (40.1, 10.9), 0.55),  # upright
    ],
)
def test_the_same_point_is_found_below_a_pixel_at_every_size(make_finder, scene, size, corner, scale) -> None:
    finder = make_finder()
    finder.remember("point", scene((240, 320)), POINT)
    hit = finder.find(scene(size, corner, scale))["point"]
    assert hit.visible
    assert np.allclose(hit.uv, pixel(corner, scale), atol=0.5), (hit.uv, pixel(corner, scale))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("stride", [2, 8])
def test_the_position_is_sub_pixel_for_every_metric_and_stride(
    make_finder, make_network, scene, metric, stride
) -> None:
    finder = make_finder(make_network(stride, metric))
    finder.remember("point", scene((240, 320)), POINT)
    errors = []
    for du, dv in ((0.0, 0.0), (0.25, 0.6), (0.5, 0.5), (0.9, 0.1)):
        hit = finder.find(scene((240, 320), (10 + du, 20 + dv)))["point"]
        errors.append(np.linalg.norm(np.subtract(hit.uv, pixel((10 + du, 20 + dv), 1.0))))
    assert max(errors) < 0.1


def test_convention_a_hit_in_the_same_image_is_the_pixel_that_was_remembered(make_finder, scene) -> None:
    finder = make_finder(max_size=160)
    image = scene((480, 640), scale=0.5)
    # Cells are 16 pixels apart here; beyond the outermost cell centres (7.5 pixels) descriptors are constant.
    places = {"first": (0.0, 0.0), "last": (639.0, 479.0), "inner": (17.25, 333.5), "middle": (301.2, 99.9)}
    for name, uv in places.items():
        finder.remember(name, image, uv)
    for name, hit in finder.find(image).items():
        assert np.allclose(hit.uv, places[name], atol=0.5 if name in ("inner", "middle") else 8), name


def test_the_heatmap_has_its_maximum_at_the_hit(make_finder, scene) -> None:
    finder = make_finder(max_size=160)
    finder.remember("point", scene((240, 320)), POINT)
    image = scene((300, 410), (30.0, 15.0), 0.8)
    hit = finder.find(image)["point"]
    heat = finder.heatmap(image, "point")
    assert heat.shape == (300, 410)
    assert heat.dtype == np.float32
    v, u = np.unravel_index(heat.argmax(), heat.shape)
    assert np.hypot(u - hit.uv[0], v - hit.uv[1]) < 2
    assert heat.max() == pytest.approx(hit.confidence, abs=1e-3)
    assert heat.min() >= 0


def test_an_image_without_the_object_has_no_visible_hit(make_finder, scene) -> None:
    finder = make_finder()
    finder.remember("point", scene((240, 320)), POINT)
    with_it = finder.find(scene((240, 320), (20.0, 20.0)))["point"]
    without = finder.find(scene((240, 320), blue=1.0))["point"]
    assert with_it.visible
    assert not without.visible
    assert without.confidence < 0.2 < with_it.confidence


def test_the_threshold_decides_what_is_visible(make_finder, scene) -> None:
    image = scene((240, 320))
    strict = make_finder(threshold=1.0)
    strict.remember("point", image, POINT)
    lenient = make_finder(threshold=0.0)
    assert not strict.find(image)["point"].visible
    assert lenient.find(scene((240, 320), blue=1.0))["point"].visible
    assert strict.find(image)["point"].confidence == lenient.find(image)["point"].confidence


def test_of_several_references_the_best_one_wins(make_finder, scene) -> None:
    finder = make_finder()
    finder.remember("point", scene((240, 320), blue=1.0), POINT)
    image = scene((240, 320), (5.0, 9.0))
    alone = finder.find(image)["point"]
    finder.remember("point", scene((240, 320)), POINT)
    hit = finder.find(image)["point"]
    assert hit.confidence > alone.confidence
    assert np.allclose(hit.uv, pixel((5.0, 9.0), 1.0), atol=0.5)
    v, u = np.unravel_index(finder.heatmap(image, "point").argmax(), (240, 320))
    assert np.hypot(u - hit.uv[0], v - hit.uv[1]) < 2
    blue = finder.find(scene((240, 320), (5.0, 9.0), blue=1.0))["point"]
    assert blue.visible
    assert np.allclose(blue.uv, pixel((5.0, 9.0), 1.0), atol=0.5)


def test_names_are_remembered_selected_renamed_and_forgotten(make_finder, scene) -> None:
    finder, image = make_finder(), scene((120, 160))
    assert finder.names == ()
    assert finder.find(image) == {}
    finder.remember("b", image, (100, 50))
    first = finder.remember("a", image, (20, 30))
    finder.remember("a", image, (21, 30))
    assert finder.names == ("a", "b")
    assert list(finder.find(image, ["b", "a", "b"])) == ["b", "a"]
    both = finder.find(image)
    assert both["b"] == finder.find(image, ["b"])["b"]
    finder.forget("a", first)
    finder.rename("b", "c")
    assert finder.names == ("a", "c")
    finder.forget("a")
    assert finder.names == ("c",)
    for use in (lambda: finder.find(image, ["a"]), lambda: finder.heatmap(image, "a")):
        with pytest.raises(DataError, match=r"no keypoint 'a'.*known are: c"):
            use()
    with pytest.raises(DataError, match="list of names"):
        finder.find(image, "c")


def test_names_that_another_program_adds_appear(make_finder, scene) -> None:
    mine, other, image = make_finder(), make_finder(), scene((120, 160))
    assert mine.find(image) == {}
    other.remember("point", image, (40, 60))
    assert np.allclose(mine.find(image)["point"].uv, (40, 60), atol=0.5)


def test_an_image_is_embedded_once_by_content(make_finder, make_network, scene) -> None:
    network = make_network()
    finder, image = make_finder(network), scene((120, 160))
    finder.remember("point", image, (40, 60))
    finder.find(image.copy())
    finder.heatmap(image, "point")
    assert network.calls == 1
    seen = finder.embed(image)
    for shift in range(6):
        finder.find(scene((120, 160), (float(shift) + 1, 0.0)))
    assert network.calls == 7
    finder.find(seen)
    assert network.calls == 7


def test_an_array_that_is_written_again_is_seen_again(make_finder, scene) -> None:
    finder, buffer = make_finder(), scene((120, 160))
    finder.remember("point", buffer, (80, 60))
    buffer[:] = scene((120, 160), (10.0, 0.0))
    assert np.allclose(finder.find(buffer)["point"].uv, (70, 60), atol=0.5)


def test_every_form_of_an_image_gives_the_same_hit(make_finder, scene, tmp_path: Path) -> None:
    finder = make_finder()
    bytes_ = (scene((120, 160)) * 255).round().astype(np.uint8)
    finder.remember("point", bytes_, (40, 60))
    Image.fromarray(bytes_).save(tmp_path / "a.png")
    turned = Image.fromarray(np.rot90(bytes_).copy())
    exif = turned.getexif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    forms = (
        bytes_,
        bytes_.astype(np.float32) / 255,
        torch.from_numpy(bytes_).permute(2, 0, 1),
        torch.from_numpy(bytes_).permute(2, 0, 1).double() / 255,
        Image.fromarray(bytes_),
        tmp_path / "a.png",
        str(tmp_path / "turned.png"),
        Image.open(tmp_path / "turned.png"),
    )
    hits = [finder.find(form)["point"] for form in forms]
    assert all(hit == hits[0] for hit in hits)


def test_the_file_of_a_reference_is_kept(make_finder, scene, tmp_path: Path) -> None:
    finder = make_finder()
    path = tmp_path / "a.png"
    Image.fromarray((scene((120, 160)) * 255).astype(np.uint8)).save(path)
    finder.remember("point", path, (40, 60))
    (kept,) = finder.matcher.database.references("point")
    assert kept.image_file == str(path)
    assert kept.uv == (40.0, 60.0)
    assert kept.image_size == (120, 160)
    assert kept.image_hash == finder.embed(path).digest


@pytest.mark.parametrize(
    ("uv", "line"),
    [
        ((-1, 5), "outside the image of width 160 and height 120"),
        ((160, 5), "outside"),
        ((5, 119.6), "outside"),
        ((float("nan"), 5), "outside"),
        ((1, 2, 3), "not a pixel"),
    ],
)
def test_a_pixel_outside_the_image_is_refused(make_finder, scene, uv, line) -> None:
    finder = make_finder()
    with pytest.raises(DataError, match=line):
        finder.remember("a", scene((120, 160)), uv)
    assert finder.names == ()


def test_a_finder_of_a_matcher_with_names_of_its_own(scene) -> None:
    class Corner:
        names = ("corner",)

        def embed(self, image):
            return tuple(image.shape[2:])

        def places(self, embedding, names):
            return Places(torch.tensor([[embedding[1] - 1.0, 0.0]]), torch.tensor([0.75]))

        def heat(self, embedding, name, size):
            return torch.zeros(size)

    assert isinstance(Corner(), NameMatcher)
    finder = Finder(Corner(), max_size=50)
    assert finder.find(scene((100, 200))) == {"corner": Hit((197.5, 1.5), 0.75, True)}
    with pytest.raises(RunError, match="keypoints of its own"):
        finder.remember("a", scene((100, 200)), (1.0, 2.0))


def test_a_name_that_another_program_forgets_during_the_search(make_finder, scene, monkeypatch):
    finder, image = make_finder(), scene((96, 128))
    finder.remember("kept", image, (20, 12))
    finder.remember("lost", image, (40, 30))
    embed = finder.embed

    def slowly(seen):
        found = embed(seen)
        if "lost" in finder.names:
            KeypointDatabase(finder.matcher.database.path, finder.matcher.fingerprint).remove("lost")
        return found

    monkeypatch.setattr(finder, "embed", slowly)
    assert set(finder.find(image)) == {"kept"}
    finder.remember("lost", image, (40, 30))
    with pytest.raises(DataError, match="'lost' was forgotten by another program while it was looked for"):
        finder.find(image, ["kept", "lost"])
    finder.remember("lost", image, (40, 30))
    with pytest.raises(DataError, match="'lost' was forgotten"):
        finder.heatmap(image, "lost")
