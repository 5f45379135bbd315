"""Lists of one pass of a camera are one take; scans of their own stay apart."""

from dataclasses import replace
from pathlib import Path

from samepoint.data.recording import Moment, Recording, View
from samepoint.data.takes import takes, with_takes


def scan(name, folder, images, split=None, mode="scan", take=None):
    moments = tuple(Moment((View("cam0", Path(folder) / f"{i}.png"),), float(i)) for i in images)
    return Recording(name, mode, moments, split, take)


TRAIN, TEST = (
    scan("box/train", "box/color", (0, 2, 3), "train"),
    scan("box/test", "box/color", (1, 2), "test"),
)


def test_lists_of_one_folder_are_one_take_in_order_and_each_image_once():
    (take,) = takes((TRAIN, TEST))
    assert take.name == "box"
    assert take.names == ("box", "box/train", "box/test")
    assert [view.image.name for view in take.whole.views()] == ["0.png", "1.png", "2.png", "3.png"]
    assert [moment.time for moment in take.whole.moments] == [0, 1, 2, 3]
    assert take.whole.split is None


def test_other_recordings_are_takes_of_their_own():
    apart = (
        scan("a", "a/rgb", (0, 1), "train"),
        scan("b", "b/rgb", (0, 1), "train"),
        scan("model/0", "images", (0, 1)),  # COLMAP's models: one folder, two worlds, no split
        scan("model/1", "images", (2, 3)),
        scan("x/train", "shuffled", (0, 1), "train", "shuffle"),
        scan("x/test", "shuffled", (2, 3), "test", "shuffle"),
        scan("none", "b/rgb", (), "train"),
    )
    found = takes(apart)
    assert [take.name for take in found] == [recording.name for recording in apart]
    assert all(take.whole is recording for take, recording in zip(found, apart))


def test_declared_takes_count_where_the_folders_differ():
    declared = with_takes((TRAIN, scan("c", "c/rgb", (0,), "train"), TEST))
    assert [recording.take for recording in declared] == ["box", None, "box"]
    moved = [
        replace(declared[0], name="train/000000", moments=scan("", "000000/rgb", (0, 1)).moments),
        replace(declared[2], name="test/000000", moments=scan("", "000001/rgb", (0,)).moments),
    ]
    (take,) = takes(moved)
    assert take.names == ("box", "train/000000", "test/000000")
    assert len(take.whole.moments) == 3
