import cv2
import numpy as np
import pytest
from PIL import Image

from samepoint.data.decode import decode_image
from samepoint.data.open import open_dataset
from samepoint.data.quality import QualityFilter
from samepoint.data.readers.photos import read_photos
from samepoint.data.store import FrameStore
from samepoint.errors import DataError


def photo(path, size=(20, 30), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


def test_a_folder_with_subfolders(tmp_path):
    for i, name in enumerate(("b.png", "a.JPG", "mug/2.webp", "mug/1.bmp", ".hidden.png", "cap/red/0.tif")):
        photo(tmp_path / name, seed=i)
    (tmp_path / "notes.txt").write_text("no photo")
    data = read_photos(tmp_path)
    names = [(r.name, [v.image.name for v in r.views()]) for r in data.recordings]
    assert names == [
        (tmp_path.name, ["a.JPG", "b.png"]),
        ("cap/red", ["0.tif"]),
        ("mug", ["1.bmp", "2.webp"]),
    ]
    assert all(r.mode == "photos" and r.split is None for r in data.recordings)
    assert data.objects == {}


def test_linked_folders(tmp_path):
    photo(tmp_path / "elsewhere" / "mug" / "1.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mug").symlink_to(tmp_path / "elsewhere" / "mug")
    (tmp_path / "elsewhere" / "mug" / "round").symlink_to(tmp_path / "data")
    names = [(r.name, [v.image.name for v in r.views()]) for r in read_photos(tmp_path / "data").recordings]
    assert names == [("mug", ["1.png"])]


def test_masks(tmp_path):
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg", seed=1)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9] = 1
    Image.fromarray(mask).save(tmp_path / "masks" / "b.png")
    data = read_photos(tmp_path)
    assert len(data.recordings) == 1
    assert [[p.object_id for p in v.placements] for v in data.views()] == [[], [1]]
    assert list(data.objects) == [1]
    assert np.array_equal(FrameStore(data, budget_bytes=0)[1].labels.numpy(), mask)


def test_bad_masks(tmp_path):
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "masks" / "z.png")
    with pytest.raises(
        DataError, match=r"no mask has the name of a photo; the mask of a\.jpg is masks/a\.png"
    ):
        read_photos(tmp_path)
    photo(tmp_path / "masks" / "a.png", (20, 31))
    with pytest.raises(DataError, match=r"a\.png: the mask is 31x20 but its image is 30x20"):
        read_photos(tmp_path)


def test_one_photo_and_none(tmp_path):
    photo(tmp_path / "only" / "a.png")
    for path in (tmp_path / "only", tmp_path / "only" / "a.png"):
        assert len(read_photos(path).views()) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"holds no photos; photos are files ending in \.avif \.bmp"):
        read_photos(tmp_path / "none")
    (tmp_path / "only" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="not a readable image"):
        read_photos(tmp_path / "only" / "a.png")


def test_filter(tmp_path):
    for i in range(4):
        photo(tmp_path / f"{i}.png", (64, 64), seed=max(i, 1))
    assert len(read_photos(tmp_path).views()) == 4
    assert [v.image.stem for v in read_photos(tmp_path, criteria=QualityFilter()).views()] == ["0", "2", "3"]


def test_real_photos_of_mixed_sizes(realdata, tmp_path):
    data = read_photos(realdata / "photos_dreambooth")
    assert len(data.recordings) == 7
    assert all(5 <= len(r.moments) <= 6 for r in data.recordings)
    store = FrameStore(data, max_size=64, cache_dir=tmp_path)
    frames = [store[i] for i in range(len(store))]
    assert {frame.source_size for frame in frames} == {(768, 768), (767, 767)}
    assert {frame.image.shape for frame in frames} == {(3, 64, 64)}


@pytest.fixture
def video(tmp_path):
    """Twelve frames: four scenes of three equal frames each."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    assert writer.isOpened()
    rng = np.random.default_rng(0)
    for image in rng.integers(0, 255, (4, 6, 8, 3), dtype=np.uint8):
        for _ in range(3):
            writer.write(cv2.resize(image, (160, 120), interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


def test_video(video, tmp_path):
    data = read_photos(video, cache_dir=tmp_path / "cache")
    (recording,) = data.recordings
    assert (recording.name, recording.mode) == ("clip", "photos")
    assert [moment.time for moment in recording.moments] == pytest.approx([0, 0.3, 0.6, 0.9])
    assert all(decode_image(view.image).shape == (120, 160, 3) for view in data.views())
    stamp = data.views()[0].image.stat().st_mtime_ns
    again = read_photos(video, cache_dir=tmp_path / "cache")
    assert again.views()[0].image.stat().st_mtime_ns == stamp
    assert len(FrameStore(data, cache_dir=tmp_path / "cache")) == 4
    few = read_photos(video, cache_dir=tmp_path / "cache", max_frames=2)
    assert [moment.time for moment in few.recordings[0].moments] == pytest.approx([0, 0.9])
    every = read_photos(video, cache_dir=tmp_path / "cache", criteria=QualityFilter(0.0, 0.0))
    assert len(every.views()) == 12


def test_convention_video_frames_are_rgb(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "red.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))
    writer.release()
    (view,) = read_photos(tmp_path / "red.avi", cache_dir=tmp_path / "cache").views()
    red, green, blue = decode_image(view.image).mean((0, 1))
    assert red > 200 > 60 > max(green, blue)


@pytest.mark.parametrize("keep", [0, 40, 300])
def test_broken_video_leaves_nothing(video, tmp_path, keep):
    video.write_bytes(video.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"clip\.avi: (is empty|(this|no frame of this) video)"):
        read_photos(video, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache" / "videos").iterdir()) == []


def mask(path, rows=slice(3, 9), value=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((20, 30), np.uint8)
    values[rows] = value
    Image.fromarray(values).save(path)


def names(data):
    return [view.image.name for view in data.views()]


@pytest.mark.parametrize(
    ("image", "beside"),
    [
        ("a.jpg", "masks/a.png"),
        ("a.jpg", "masks/a.jpg.png"),  # COLMAP
        ("a.jpg", "mask/a.png"),
        ("a.jpg", "a_mask.png"),
        ("a.jpg", "a-label.png"),
        ("images/a.jpg", "masks/a.png"),
        ("rgb/a.jpg", "segmentation/a.png"),
        ("images/cup/a.jpg", "masks/cup/a.png"),
        ("JPEGImages/a.jpg", "SegmentationObject_masks/a.png"),
    ],
)
def test_masks_lie_where_programs_put_them(tmp_path, image, beside):
    photo(tmp_path / image)
    mask(tmp_path / beside)
    data = read_photos(tmp_path)
    assert names(data) == ["a.jpg"]
    (placement,) = data.views()[0].placements
    assert placement.mask == tmp_path / beside
    assert data.notes == ()


@pytest.mark.parametrize(
    "other",
    ["depth/a.png", "thumbnails/a.jpg", "a_depth.png", "a_normals.png", "a_mask_0.png", "masks/a/0.png"],
)
def test_other_pictures_of_a_photo_are_no_photos_and_are_named(tmp_path, other):
    photo(tmp_path / "a.jpg")
    mask(tmp_path / other)
    data = read_photos(tmp_path)
    assert names(data) == ["a.jpg"]
    assert len(data.notes) == 1
    assert f"is not used ({other.rpartition('/')[2]})" in data.notes[0]


def test_a_data_set_that_nobody_recognised_is_no_heap_of_photos(tmp_path):
    """As HOT3D's scenes: grey images of other cameras, and masks numbered within their images."""
    photo(tmp_path / "rgb" / "000001.png")
    photo(tmp_path / "gray1" / "000001.png")
    mask(tmp_path / "mask_visib_rgb" / "000001_000000.png")
    data = read_photos(tmp_path)
    assert [view.image.parent.name for view in data.views()] == ["rgb"]
    assert data.notes == (
        "gray1: 1 .png file is not used (000001.png): by its name no photo",
        "mask_visib_rgb: 1 .png file is not used (000001_000000.png):"
        " several masks an image, of objects that have no names",
    )


def test_words_alone_make_no_mask(tmp_path):
    """Classes and photos may be called so."""
    for name in (
        "mask/1.png",
        "mug/1.png",
        "label_of_wine_1.jpg",
        "depth_gauge_1.jpg",
        "mask_of_tiger_2.jpg",
    ):
        photo(tmp_path / name)
    data = read_photos(tmp_path)
    assert len(data.views()) == 5
    assert data.notes == ()


def test_16_bit_grey_beside_colour_is_depth(tmp_path):
    photo(tmp_path / "000001.jpg")
    Image.fromarray(np.full((20, 30), 900, np.uint16)).save(tmp_path / "000001.png")
    data = read_photos(tmp_path)
    assert names(data) == ["000001.jpg"]
    assert data.notes == (
        "1 .png file is not used (000001.png): 16-bit grey beside images of 8 bits: taken for depth",
    )


def test_photos_of_16_bits_alone_are_photos_and_their_white_is_said(tmp_path):
    for i in range(3):
        Image.fromarray(np.full((20, 30), 900 * (i + 1), np.uint16)).save(tmp_path / f"{i}.png")
    data = open_dataset(tmp_path)
    assert len(data.views()) == 3
    assert data.notes == ("images of 16 bits hold 12 (the largest value is 2700): white is 4095",)
    assert [decode_image(view.image).max() for view in data.views()] == [900 >> 4, 1800 >> 4, 2700 >> 4]


def test_what_is_not_read_is_named(tmp_path):
    for name in ("a.jfif", "b.JPE"):
        photo(tmp_path / "draft.jpg")
        (tmp_path / "draft.jpg").rename(tmp_path / name)
    for name in ("c.CR2", "d.gif", "clip.mp4", ".e.gif"):
        (tmp_path / name).touch()
    data = read_photos(tmp_path)
    assert names(data) == ["a.jfif", "b.JPE"]
    assert data.notes == (
        "1 .cr2 file is not used (c.CR2)",
        "1 .mp4 file is not used (clip.mp4)",
        "1 .gif file is not used (d.gif)",
    )
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "x.gif").touch()
    with pytest.raises(DataError, match=r"holds images of kinds that are not read \(\.gif\); convert"):
        open_dataset(tmp_path / "only")
    with pytest.raises(DataError, match=r"holds no photos; .*; convert its \.gif files"):
        read_photos(tmp_path / "only")


def test_masks_that_number_objects(tmp_path):
    """VOC and DAVIS: palette entries are objects; 255 is undecided."""
    for name in "ab":
        photo(tmp_path / f"{name}.jpg")
    (tmp_path / "masks").mkdir()
    values = np.zeros((20, 30), np.uint8)
    values[2:4], values[6:9], values[12] = 1, 2, 255
    for name in "ab":
        image = Image.fromarray(values, "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[128, 128, 0] * 252, 224, 224, 192])
        image.save(tmp_path / "masks" / f"{name}.png")
        values[2:4] = 0
    data = read_photos(tmp_path)
    assert [[p.object_id for p in view.placements] for view in data.views()] == [[1, 2], [2]]
    assert data.notes == ("masks hold the numbers 1, 2: an object each",)
    labels = FrameStore(data, budget_bytes=0)[0].labels.numpy()
    assert ((labels == 1).sum(), (labels == 2).sum()) == (60, 90)


def test_masks_of_turned_photos(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    mask(tmp_path / "masks" / "a.png")
    labels = FrameStore(read_photos(tmp_path), budget_bytes=0)[0].labels.numpy()
    assert labels.shape == (30, 20)
    assert (labels > 0).all(0).tolist() == [False] * 11 + [True] * 6 + [False] * 3


def test_photos_that_are_cut_out_mask_themselves(tmp_path):
    for name, alpha in (("a", 0), ("b", 255)):
        pixels = np.full((20, 30, 4), 255, np.uint8)
        pixels[:, :, :3] = np.random.default_rng(0).integers(0, 255, (20, 30, 3))
        pixels[5:, :, 3] = alpha
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    data = read_photos(tmp_path)
    assert [len(view.placements) for view in data.views()] == [1, 0]
    assert data.notes == ("1 photos are cut out: their transparency is the mask of object 1",)
    labels = FrameStore(data, budget_bytes=0)[0].labels.numpy()
    assert (labels.any(1) == (np.arange(20) < 5)).all()
