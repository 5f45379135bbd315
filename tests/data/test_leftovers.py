"""What stands in a recording and is not read is counted and named."""

from samepoint.data.leftovers import noted
from samepoint.data.recording import Dataset, DepthFile, Moment, Placement, Recording, View


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def dataset(root, *names, **more):
    views = (View("cam0", root / name, **more) for name in names)
    return Dataset(root, (Recording("r", "scan", tuple(Moment((view,)) for view in views)),))


def test_nothing_is_said_of_what_was_taken(tmp_path):
    touched(
        tmp_path, "color/1.png", "depth/1.exr", "masks/1.png", "pose/1.txt", "README.txt", ".a.png", "x.md"
    )
    more = {"depth": DepthFile(tmp_path / "depth/1.exr", 1.0)}
    more["placements"] = (Placement(1, mask=tmp_path / "masks/1.png"),)
    data = noted(dataset(tmp_path, "color/1.png", **more), also=[tmp_path / "pose/1.txt"])
    assert data.notes == ()


def test_each_folder_and_kind_is_one_line_with_its_reason(tmp_path):
    touched(tmp_path, "color/1.png", "color/2.png", "depth/1.exr", "depth/2.exr", "depth/2.npz", "pose/1.txt")
    touched(tmp_path, "raw/IMG_1.DNG", "raw/deep/clip.MP4", ".hidden/1.png", "color/.3.png")
    reasons = {tmp_path / "depth": "no image has their names", tmp_path / "depth/2.npz": "it is empty"}
    data = noted(dataset(tmp_path, "color/1.png"), reasons=reasons, notes=["poses are those of a robot"])
    assert data.notes == (
        "poses are those of a robot",
        "color: 1 of 2 .png files is not used (2.png)",
        "depth: 2 .exr files are not used (1.exr, ...): no image has their names",
        "depth: 1 .npz file is not used (2.npz): it is empty",
        "pose: 1 .txt file is not used (1.txt)",
        "raw: 1 .dng file is not used (IMG_1.DNG)",
        "raw/deep: 1 .mp4 file is not used (clip.MP4)",
    )


def test_a_reason_holds_below_its_folder_and_many_folders_are_counted(tmp_path):
    touched(tmp_path, "1.png", *(f"thumbs/{i}/a.png" for i in range(20)))
    data = noted(dataset(tmp_path, "1.png"), reasons={tmp_path / "thumbs": "thumbnails"})
    assert data.notes[0] == "thumbs/0: 1 .png file is not used (a.png): thumbnails"
    assert len(data.notes) == 8
    assert data.notes[-1] == "13 more kinds of files in other folders are not used"


def test_notes_stay_with_the_splits(tmp_path):
    touched(tmp_path, "1.png", "2.png")
    data = noted(dataset(tmp_path, "1.png"))
    assert data.split("train").notes == data.notes == ("1 of 2 .png files is not used (2.png)",)


def test_links_that_go_round_in_a_circle(tmp_path):
    touched(tmp_path, "a/1.png", "2.png")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    assert noted(dataset(tmp_path, "2.png")).notes == ("a: 1 .png file is not used (1.png)",)
