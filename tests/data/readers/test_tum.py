import json

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset, write_native
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.pose_times import PoseTiming, nearest
from samepoint.data.readers.tum import read_tum
from samepoint.data.readers.tum.lists import is_tum, pairs
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import Lens
from samepoint.geometry.motions import invert, transform

SIZE = (480, 640)
START = 1305031102.0
COLOUR = (0.1753, 0.2112, 0.2758, 0.3436)
DEPTH = (0.1604, 0.2261, 0.2626, 0.5000)
HEADER = "# {}\n# file: 'rgbd_dataset_freiburg2_desk.bag'\n# timestamp {}\n"


def quaternion(rotation):
    """qx qy qz qw by the axis and angle of OpenCV."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    half = np.linalg.norm(vector) / 2
    return [*(np.sin(half) * vector / (2 * half)), np.cos(half)]


def pose(i):
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array([0.3 + 0.1 * i, -0.5, 0.2]))[0]
    matrix[:3, 3] = (0.1 * i, 0.2, -2.0)
    return matrix


@pytest.fixture
def folder(tmp_path):
    """Four colour images; the second has no depth of its own, the last neither depth nor pose."""
    root, rng = tmp_path / "rgbd_dataset_freiburg1_xyz", np.random.default_rng(0)
    for name, times in (("rgb", COLOUR), ("depth", DEPTH)):
        (root / name).mkdir(parents=True)
        kind = "color images" if name == "rgb" else "depth maps"
        lines = []
        for time in times:
            stamp = f"{START + time:.6f}"
            image = rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8)
            if name == "depth":
                image = rng.integers(0, 30000, SIZE).astype(np.uint16)
            cv2.imwrite(str(root / name / f"{stamp}.png"), image)
            lines.append(f"{stamp} {name}/{stamp}.png\n")
        (root / f"{name}.txt").write_text(HEADER.format(kind, "filename") + "".join(lines))
    lines = []
    for i in range(28):  # 100 Hz; every entry near a colour image has that image's pose
        time = 0.05 + 0.01 * i
        matrix = pose(int(np.argmin(np.abs(np.array(COLOUR) - time))))
        values = [*matrix[:3, 3], *quaternion(matrix[:3, :3])]
        lines.append(f"{START + time:.4f} " + " ".join(f"{v:.4f}" for v in values) + "\n")
    (root / "groundtruth.txt").write_text(
        HEADER.format("ground truth", "tx ty tz qx qy qz qw") + "".join(lines)
    )
    return root


def edit(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_read(folder):
    assert is_tum(folder)
    data = read_tum(folder)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == (folder.name, "scan", None)
    assert [m.time for m in recording.moments] == pytest.approx([START + t for t in COLOUR], abs=1e-6)
    views = data.views()
    assert [v.image.name for v in views] == [f"{START + t:.6f}.png" for t in COLOUR]
    names = [None if v.depth is None else v.depth.path.name for v in views]
    assert names == [
        f"{START + DEPTH[0]:.6f}.png",
        f"{START + DEPTH[1]:.6f}.png",
        f"{START + DEPTH[2]:.6f}.png",
        None,
    ]
    assert views[0].depth.metres_per_unit == 1 / 5000
    assert [v.world_from_camera is None for v in views] == [False, False, False, True]
    for i, view in enumerate(views[:3]):
        torch.testing.assert_close(
            view.world_from_camera, torch.from_numpy(pose(i)).float(), atol=3e-4, rtol=0
        )
        assert view.lens == Lens("brown", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633))
        torch.testing.assert_close(
            view.intrinsics, torch.tensor([[517.3, 0, 318.6], [0, 516.5, 255.3], [0, 0, 1]])
        )


def test_a_point_lies_at_the_same_pixel(folder):
    """A point two metres ahead, carried to the world by hand with the quaternion of the file (q v q*)."""
    view = read_tum(folder).views()[1]
    line = next(
        x for x in (folder / "groundtruth.txt").read_text().splitlines() if x.startswith("1305031102.21")
    )
    tx, ty, tz, qx, qy, qz, qw = map(float, line.split()[1:])
    point, axis = np.array([0.2, -0.1, 2.0]), np.array([qx, qy, qz])
    world = point + 2 * np.cross(axis, np.cross(axis, point) + qw * point) + (tx, ty, tz)
    seen = transform(invert(view.world_from_camera), torch.from_numpy(world[None]).float())
    uv, z = project(view.intrinsics, seen)
    torch.testing.assert_close(z, torch.tensor([2.0]), atol=1e-3, rtol=0)
    wanted = torch.tensor([[517.3 * 0.1 + 318.6, 516.5 * -0.05 + 255.3]])
    torch.testing.assert_close(uv, wanted, atol=0.2, rtol=0)


def test_association():
    times, of = np.array([0.0, 0.1, 0.115, 0.2]), np.array([0.011, 0.105, 0.221])
    assert nearest(times, of, 0.02).tolist() == [0, 1, 1, -1]
    assert pairs(times, of).tolist() == [0, 1, -1, -1]
    assert nearest(np.array([0.1]), np.array([0.11]), 0.02).tolist() == [0]
    assert nearest(np.array([0.1]), np.array([0.13]), 0.02).tolist() == [-1]


def test_what_has_no_depth_or_pose_is_said(folder):
    notes = read_tum(folder).notes
    assert len(notes) == 3, notes
    depth, poses, unused = notes
    assert depth.startswith(
        "depth.txt: 1 of 4 images have no depth image (none within 0.02 s), the depth image"
    )
    assert "is 14.9 ms away in time (median; at most 14.9 ms)" in depth
    assert poses.startswith(
        "groundtruth.txt: 1 of 4 images have no pose (none within 0.02 s), the pose taken"
    )
    assert unused == (
        f"depth: 1 of 4 .png files is not used ({START + DEPTH[3]:.6f}.png): not in the list, or no colour image has "
        "one within 0.02 s"
    )


def test_poses_between_two_entries(folder, tmp_path):
    """Colour at its own times, poses at 10 Hz."""
    lines = []
    for k in range(4):
        matrix = pose(0)
        matrix[0, 3] = 0.1 * k
        values = [*matrix[:3, 3], *quaternion(matrix[:3, :3])]
        lines.append(f"{START + 0.1 + 0.1 * k:.4f} " + " ".join(f"{v:.6f}" for v in values) + "\n")
    (folder / "groundtruth.txt").write_text("".join(lines))
    data = import_dataset("tum", folder, tmp_path / "out", timing=PoseTiming(interpolate_poses=True))
    x = [view.world_from_camera[0, 3].item() for view in data.views()]
    assert x == pytest.approx([time - 0.1 for time in COLOUR], abs=1e-4)
    assert any("4 of 4 images have a pose between two entries, 100 ms apart" in note for note in data.notes)
    with pytest.raises(
        DataError, match=r"bop: --interpolate-poses does nothing for this format; only tum and"
    ):
        import_dataset("bop", folder, tmp_path / "no", timing=PoseTiming(interpolate_poses=True))


@pytest.mark.parametrize("line", ["{t} rgb/{c} {t} depth/{d}", "{t} depth/{d} {t} rgb/{c}"])
def test_associations_in_place_of_two_lists(folder, line):
    """As ICL-NUIM has them: numbers of frames, no seconds."""
    names = zip(sorted((folder / "rgb").iterdir()), sorted((folder / "depth").iterdir()), strict=True)
    lines = [line.format(t=i, c=c.name, d=d.name) for i, (c, d) in enumerate(names)]
    (folder / "associations.txt").write_text("\n".join(lines))
    for name in ("rgb.txt", "depth.txt", "groundtruth.txt"):
        (folder / name).unlink()
    (folder / "room.gt.freiburg").write_text("".join(f"{i} {i} 0 0 0 0 0 1\n" for i in range(4)))
    assert is_tum(folder)
    data = read_tum(folder)
    assert [v.image.name for v in data.views()] == [f"{START + t:.6f}.png" for t in COLOUR]
    assert [v.depth.path.name for v in data.views()] == [f"{START + t:.6f}.png" for t in DEPTH]
    assert [v.world_from_camera[0, 3].item() for v in data.views()] == [0, 1, 2, 3]
    assert [m.time for m in data.recordings[0].moments] == [None] * 4
    assert data.notes == ()


def test_names_with_blanks_and_backslashes(folder):
    (folder / "rgb").rename(folder / "my rgb")
    (folder / "rgb.txt").write_text((folder / "rgb.txt").read_text().replace(" rgb/", " my rgb\\"))
    assert {v.image.parent.name for v in read_tum(folder).views()} == {"my rgb"}


def test_the_camera(folder):
    def camera():
        view = read_tum(folder).views()[0]
        return view.intrinsics[0, 0].item(), None if view.lens is None else view.lens.coefficients[0]

    folder = folder.rename(folder.parent / "desk")
    assert camera() == (pytest.approx(520.9), 0.2312)  # by the head of rgb.txt
    folder = folder.rename(folder.parent / "rgbd_dataset_freiburg3_long_office_household")
    assert camera() == (pytest.approx(535.4), None)
    content = {"width": 640, "height": 480, "fx": 525.0, "fy": 525.0, "cx": 319.5, "cy": 239.5}
    (folder / "intrinsics.json").write_text(json.dumps(content))
    assert camera() == (525.0, None)
    content |= {"distortion": [0.1, 0, 0, 0, 0], "depth_unit_m": 0.001}
    (folder / "intrinsics.json").write_text(json.dumps(content))
    assert camera() == (525.0, 0.1)
    assert read_tum(folder).views()[0].depth.metres_per_unit == 0.001


def test_parts_may_be_missing(folder):
    (folder / "depth.txt").unlink()
    assert all(v.depth is None for v in read_tum(folder).views())
    (folder / "groundtruth.txt").unlink()
    assert all(v.world_from_camera is None for v in read_tum(folder).views())
    assert not is_tum(folder)


def test_lost_poses(folder):
    """NaN and quaternions of zeros are no poses: the next entry in time is taken."""
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    for i, line in enumerate(lines):
        time, *values = line.split()
        if time.startswith("1305031102.1"):
            lost = ["nan"] * 7 if i % 2 else [*values[:3], "0", "0", "0", "0"]
            lines[i] = " ".join((time, *lost))
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    assert [v.world_from_camera is None for v in read_tum(folder).views()] == [True, False, False, True]


def test_import(folder, tmp_path):
    source = read_tum(folder)
    write_native(source, tmp_path / "out")
    (recording,) = read_bop(tmp_path / "out").recordings
    assert [m.time for m in recording.moments] == pytest.approx([START + t for t in COLOUR], abs=1e-6)
    for before, after in zip(source.views(), recording.views(), strict=True):
        assert (before.depth is None) == (after.depth is None)
        torch.testing.assert_close(before.intrinsics, after.intrinsics)
    arrays = decode_view(next(iter(recording.views())))
    assert arrays.depth.max() * arrays.metres_per_unit == pytest.approx(6.0, abs=0.01)


def intrinsics(folder, **changes):
    content = {"width": 640, "height": 480, "fx": 525.0, "fy": 525.0, "cx": 319.5, "cy": 239.5, **changes}
    text = json.dumps({k: v for k, v in content.items() if v is not None})
    (folder / "intrinsics.json").write_text(text)


def nameless(folder):
    edit(folder, "rgb.txt", "freiburg2", "nowhere")
    folder.rename(folder.parent / "desk")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "rgb.txt").unlink(), r"has no rgb\.txt"),
        (nameless, r"desk: does not say which camera took it; name it \.\.\._freiburg1_"),
        (lambda f: (f / "rgb.txt").write_text("# nothing\n"), r"rgb\.txt: lists nothing"),
        (lambda f: (f / "rgb.txt").write_bytes(b"\xff\xfe\x00"), r"rgb\.txt: cannot be read"),
        (lambda f: edit(f, "rgb.txt", " rgb/", " "), r"rgb\.txt: names \d+\.\d+\.png, which is not there"),
        (lambda f: edit(f, "rgb.txt", " rgb/", "rgb/"), r"rgb\.txt, line 4: has 1 fields, not 2"),
        (lambda f: edit(f, "rgb.txt", "1305031102.2112", "noon"), r"rgb\.txt, line 5: .* are not numbers"),
        (lambda f: edit(f, "rgb.txt", "1305031102.211200 ", "nan "), r"rgb\.txt, line 5: the time is nan"),
        (lambda f: edit(f, "depth.txt", " depth/", " nodepth/"), r"depth\.txt: names nodepth/"),
        (
            lambda f: edit(f, "depth.txt", "1305031102.", "1405031102."),
            r"depth\.txt: no time in it is within 0\.02 s",
        ),
        (
            lambda f: edit(f, "groundtruth.txt", "\n1305", "\n1405"),
            r"groundtruth\.txt: no time in it is within 0\.02",
        ),
        (
            lambda f: edit(f, "groundtruth.txt", " -2.0000", ""),
            r"groundtruth\.txt, line 4: has 7 fields, not 8",
        ),
        (
            lambda f: edit(f, "groundtruth.txt", " -2.0000", " far"),
            r"groundtruth\.txt, time 1305031102\.0500: .*numbers",
        ),
        (lambda f: edit(f, "groundtruth.txt", " -2.0000", " nan"), r"groundtruth\.txt: holds no pose"),
        (
            lambda f: edit(f, "groundtruth.txt", " -2.0000 0.", " -2.0 1."),
            r"time 1305031102\.\d+: the quaternion .* not 1",
        ),
        (lambda f: (f / "groundtruth.txt").write_text(""), r"groundtruth\.txt: lists nothing"),
        (lambda f: (f / "intrinsics.json").write_text("{"), r"intrinsics\.json: is not valid JSON"),
        (lambda f: (f / "intrinsics.json").write_text("[]"), r"intrinsics\.json: lacks fx, fy, cx, cy"),
        (lambda f: intrinsics(f, fx=None, cy=None), r"intrinsics\.json: lacks fx, cy"),
        (lambda f: intrinsics(f, fx=-1), "fx is -1: x points left"),
        (lambda f: intrinsics(f, fx="wide"), "expected 4 numbers"),
        (lambda f: intrinsics(f, width=320), r"is for images 320 pixels wide, but .*png is 640x480"),
        (lambda f: intrinsics(f, depth_unit_m=0), "depth_unit_m is 0"),
        (lambda f: intrinsics(f, distortion=[0.1, 0.2]), "expected 5 numbers"),
        (lambda f: (f / "rgb" / f"{START + COLOUR[0]:.6f}.png").write_text("no"), "is not a readable image"),
    ],
)
def test_bad(folder, break_it, message):
    break_it(folder)
    root = next(path for path in folder.parent.iterdir() if path.is_dir())
    with pytest.raises(DataError, match=message):
        read_tum(root)
