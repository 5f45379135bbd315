"""Miniature LeRobot data sets as versions 2.1 and 3.0 write them; each picture has a bar that says which it is."""

import io
import json
import re

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.decode import decode_depth, decode_image
from samepoint.data.importers import write_native
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.lerobot import is_lerobot, read_lerobot
from samepoint.data.readers.lerobot.video import frames_at
from samepoint.errors import DataError, MissingDependencyError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform

av = pytest.importorskip("av", reason="videos of LeRobot data sets are decoded by PyAV")
pa = pytest.importorskip("pyarrow", reason="LeRobot data sets are parquet files")
pq = pytest.importorskip("pyarrow.parquet", reason="LeRobot data sets are parquet files")

FPS, WIDTH, HEIGHT = 10, 64, 48
LENGTHS = (6, 5, 4)
TOP, WRIST, DEPTH = "observation.images.top", "observation.images.wrist", "observation.images.top_depth"
FILES_V3 = (0, 0, 1)
"""The file of each episode: two share one, the third has its own."""
QUIET = {"libx265": {"x265-params": "log-level=none:pools=1"}, "libsvtav1": {"svtav1-params": "lp=1"}}


def picture(number):
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:, 4 * number : 4 * number + 4] = (240, 100, 40)
    return image


def number_in(image):
    """The number of the picture, by its bar, which is red and not blue."""
    red, _, blue = image.astype(float).mean(axis=0).reshape(-1, 4, 3).mean(axis=1).T
    number = int(red.argmax())
    assert red[number] > np.median(red) + 60
    assert red[number] > blue[number] + 60
    return number


def write_video(path, pictures, codec="libx264", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "gray12le" if pictures[0].ndim == 2 else "yuv420p"
    with av.open(str(path), "w", options=options.pop("container", {})) as container:
        stream = container.add_stream(codec, rate=FPS, options={"g": "4", **QUIET.get(codec, {}), **options})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        stream.codec_context.thread_count = 1
        for image in pictures:
            if form == "gray12le":
                frame = av.VideoFrame(WIDTH, HEIGHT, form)
                rows = np.zeros((HEIGHT, frame.planes[0].line_size // 2), np.uint16)
                rows[:, :WIDTH] = image
                frame.planes[0].update(rows)
            else:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_table(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def episode_columns(number, extra):
    """What LeRobot stores of an episode; `extra`: functions of (episode, frame) by the column's key."""
    count, before = LENGTHS[number], sum(LENGTHS[:number])
    columns = {
        "timestamp": pa.array([k / FPS for k in range(count)], pa.float32()),
        "frame_index": pa.array(range(count), pa.int64()),
        "episode_index": pa.array([number] * count, pa.int64()),
        "index": pa.array(range(before, before + count), pa.int64()),
        "task_index": pa.array([0] * count, pa.int64()),
    }
    return columns | {key: pa.array([value(number, k) for k in range(count)]) for key, value in extra.items()}


def write_lerobot(root, version, videos, features=None, extra=None, **encoding):
    """`videos`: by key a function of (episode, frame) to its picture. `features`: more of info.json's features."""
    extra = extra or {}
    (root / "meta").mkdir(parents=True)
    scalars = {"timestamp": "float32"} | dict.fromkeys(
        ("frame_index", "episode_index", "index", "task_index"), "int64"
    )
    known = {key: {"dtype": dtype, "shape": [1], "names": None} for key, dtype in scalars.items()}
    known |= {key: {"dtype": "float32", "shape": [len(value(0, 0) or [0])]} for key, value in extra.items()}
    known |= {key: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3]} for key in videos}
    known |= features or {}
    info = {
        "codebase_version": version,
        "robot_type": "so100",
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS),
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": "0:2", "test": "2:3"},
        "features": known,
    }
    old = version.startswith("v2")
    if old:
        info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    else:
        info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    (root / "meta" / "info.json").write_text(json.dumps(info))
    write = write_v2 if old else write_v3
    write(root, videos, extra, encoding)
    return root


def write_v2(root, videos, extra, encoding):
    lines = [{"episode_index": n, "tasks": ["grasp"], "length": LENGTHS[n]} for n in range(len(LENGTHS))]
    (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "grasp"}\n')
    for n, length in enumerate(LENGTHS):
        write_table(root / f"data/chunk-000/episode_{n:06d}.parquet", episode_columns(n, extra))
        for key, paint in videos.items():
            path = root / f"videos/chunk-000/{key}/episode_{n:06d}.mp4"
            write_video(path, [paint(n, k) for k in range(length)], **encoding.get(key, {}))


def write_v3(root, videos, extra, encoding):
    numbers = range(len(LENGTHS))
    entries = {
        "episode_index": list(numbers),
        "tasks": [["grasp"] for _ in numbers],
        "length": list(LENGTHS),
        "data/chunk_index": [0 for _ in numbers],
        "data/file_index": list(FILES_V3),
        "dataset_from_index": [sum(LENGTHS[:n]) for n in numbers],
        "dataset_to_index": [sum(LENGTHS[: n + 1]) for n in numbers],
        "meta/episodes/chunk_index": [0 for _ in numbers],
        "meta/episodes/file_index": [0 for _ in numbers],
        "stats/action/min": [[0.0] for _ in numbers],
    }
    for file in set(FILES_V3):
        inside = [n for n in numbers if FILES_V3[n] == file]
        parts = [pa.table(episode_columns(n, extra)) for n in inside]
        path = root / f"data/chunk-000/file-{file:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(parts), path)
        for key, paint in videos.items():
            path = root / f"videos/{key}/chunk-000/file-{file:03d}.mp4"
            pictures = [paint(n, k) for n in inside for k in range(LENGTHS[n])]
            write_video(path, pictures, **encoding.get(key, {}))
    starts = [sum(LENGTHS[m] for m in range(n) if FILES_V3[m] == FILES_V3[n]) / FPS for n in numbers]
    for key in videos:
        entries[f"videos/{key}/chunk_index"] = [0 for _ in numbers]
        entries[f"videos/{key}/file_index"] = list(FILES_V3)
        entries[f"videos/{key}/from_timestamp"] = starts
        entries[f"videos/{key}/to_timestamp"] = [starts[n] + LENGTHS[n] / FPS for n in numbers]
    write_table(root / "meta/episodes/chunk-000/file-000.parquet", entries)


def index(episode, frame):
    return sum(LENGTHS[:episode]) + frame


def bar(episode, frame):
    return picture(index(episode, frame))


def side_car(root, **cameras):
    names = {"top": TOP, "wrist": WRIST}
    content = {names.get(name, name): entry for name, entry in cameras.items()}
    (root / "samepoint_cameras.json").write_text(json.dumps(content))


def read(root, tmp_path, **options):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return read_lerobot(root, scratch, **options)


K = {"fx": 60.0, "fy": 62.0, "cx": 31.5, "cy": 23.5, "width": WIDTH, "height": HEIGHT}


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_the_right_picture(tmp_path, version, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV cannot write {codec}")
    root = write_lerobot(tmp_path / "set", version, {TOP: bar}, **{TOP: {"codec": codec}})
    assert is_lerobot(root)
    assert not is_lerobot(tmp_path)
    data = read(root, tmp_path)
    assert [(r.name, r.mode, r.split) for r in data.recordings] == [
        ("episode_000000", "shuffle", "train"),
        ("episode_000001", "shuffle", "train"),
        ("episode_000002", "shuffle", "test"),
    ]
    for episode, recording in enumerate(data.recordings):
        assert [number_in(decode_image(v.image)) for v in recording.views()] == [
            index(episode, frame) for frame in range(LENGTHS[episode])
        ]
        assert [m.time for m in recording.moments] == pytest.approx(
            [k / FPS for k in range(LENGTHS[episode])]
        )
    view = data.views()[0]
    assert (view.camera, view.intrinsics, view.world_from_camera, view.depth) == (TOP, None, None, None)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_several_cameras_are_a_rig(tmp_path, version):
    videos = {TOP: bar, WRIST: lambda episode, frame: picture(15 - index(episode, frame))}
    root = write_lerobot(tmp_path / "set", version, videos)
    for episode, recording in enumerate(read(root, tmp_path).recordings):
        assert recording.mode == "rig"
        assert len({moment.sync_group for moment in recording.moments}) == LENGTHS[episode]
        for frame, moment in enumerate(recording.moments):
            assert [v.camera for v in moment.views] == [TOP, WRIST]
            seen = [number_in(decode_image(v.image)) for v in moment.views]
            assert seen == [index(episode, frame), 15 - index(episode, frame)]


def test_evenly_chosen_frames(tmp_path):
    root = write_lerobot(tmp_path / "set", "v3.0", {TOP: bar})
    data = read(root, tmp_path, max_frames=3)
    recordings = data.recordings
    assert re.match(
        r"\d+ of \d+ frames are left out, evenly: at most 3 of an episode are kept \(episode 0 and 2 more\)",
        data.notes[0],
    )
    assert data.notes[1:] == ("images have neither intrinsics nor poses: samepoint_cameras.json gives none",)
    assert [[number_in(decode_image(v.image)) for v in r.views()] for r in recordings] == [
        [0, 2, 5],
        [6, 8, 10],
        [11, 13, 14],
    ]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_any_frame_is_found_alone(tmp_path, codec):
    """Seeking goes by decoding times: reordered frames and open groups of pictures must not lead it astray."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV cannot write {codec}")
    path = tmp_path / "a.mp4"
    write_video(path, [picture(k % 16) for k in range(48)], codec, g="12")
    for k in range(48):
        (frame,) = frames_at(path, [k / FPS], 1 / FPS)
        assert number_in(frame.to_ndarray(format="rgb24")) == k % 16
    far = [frame.time for frame in frames_at(path, [0.3, 0.5, 2.1, 4.6], 1 / FPS)]
    assert far == pytest.approx([0.3, 0.5, 2.1, 4.6])


def hand_eye(episode, frame):
    """world_from_gripper of a frame: axis, angle and position, the same numbers in every layout."""
    rng = np.random.default_rng(10 * episode + frame)
    rotvec, position = rng.normal(size=3), rng.normal(size=3)
    return rotvec, position


def numbers_of(form, rotvec, position):
    angle = np.linalg.norm(rotvec)
    w, xyz = np.cos(angle / 2), rotvec / angle * np.sin(angle / 2)
    if form == "matrix":
        return [*np.c_[cv2.Rodrigues(rotvec)[0], position].ravel(), 0, 0, 0, 1]
    behind = {"xyz_wxyz": [w, *xyz], "xyz_xyzw": [*xyz, w], "xyz_rotvec": [*rotvec]}[form]
    return [*position, *behind]


@pytest.mark.parametrize("form", ["matrix", "xyz_wxyz", "xyz_xyzw", "xyz_rotvec"])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_wrist_camera_sees_a_point_where_it_should(tmp_path, version, form):
    columns = {"observation.state": lambda e, f: [0.5, *numbers_of(form, *hand_eye(e, f)), 0.1]}
    root = write_lerobot(tmp_path / "set", version, {WRIST: bar}, extra=columns)
    turn, offset = cv2.Rodrigues(np.array([0.2, -0.5, 1.1]))[0], np.array([0.03, -0.05, 0.1])
    gripper_from_camera = [*np.c_[turn, offset].ravel(), 0, 0, 0, 1]
    entry = {"gripper_from_camera": gripper_from_camera, "gripper_pose_key": "observation.state"}
    side_car(root, wrist={**K, **entry, "pose_format": form, "pose_start": 1, "static": True})
    data = read(root, tmp_path)
    assert {recording.mode for recording in data.recordings} == {"scan"}
    for episode, recording in enumerate(data.recordings):
        for frame, view in enumerate(recording.views()):
            rotvec, position = hand_eye(episode, frame)
            seen = np.array([0.1, -0.2, 1.5])  # of the camera; then out to the gripper, then to the world
            world = cv2.Rodrigues(rotvec)[0] @ (turn @ seen + offset) + position
            uv, depth = project(
                view.intrinsics,
                transform(invert(view.world_from_camera), torch.from_numpy(world).float()[None]),
            )
            truth = [60 * 0.1 / 1.5 + 31.5, 62 * -0.2 / 1.5 + 23.5]
            assert uv[0].tolist() == pytest.approx(truth, abs=1e-3)
            assert depth[0].item() == pytest.approx(1.5, abs=1e-5)


def test_a_pose_column_and_unknown_poses(tmp_path):
    def pose(episode, frame):
        if (episode, frame) == (0, 1):
            return None
        if (episode, frame) == (0, 2):
            return [float("nan")] * 16
        return numbers_of("matrix", *hand_eye(episode, frame))

    root = write_lerobot(tmp_path / "set", "v3.0", {TOP: bar}, extra={"camera.pose": pose})
    side_car(root, top={**K, "pose_key": "camera.pose"})
    data = read(root, tmp_path)
    assert data.recordings[0].mode == "shuffle"
    poses = [view.world_from_camera for view in data.views()]
    assert [p is None for p in poses] == [k in (1, 2) for k in range(15)]
    assert poses[7].ravel().tolist() == pytest.approx(pose(1, 1), abs=1e-6)


def test_a_fixed_camera(tmp_path):
    root = write_lerobot(tmp_path / "set", "v2.1", {TOP: bar})
    fixed = np.eye(4)
    fixed[:3, :3], fixed[:3, 3] = cv2.Rodrigues(np.array([0.1, 2.0, 0.3]))[0], (1, 2, 3)
    lens = {"model": "brown", "coefficients": [0.1, -0.05, 0, 0]}
    matrix = [[60, 0, 31.5], [0, 62, 23.5], [0, 0, 1]]
    side_car(root, top={"K": matrix, "lens": lens, "world_from_camera": fixed.tolist()})
    (root / "samepoint_cameras.json").rename(root / "meta" / "samepoint_cameras.json")
    for view in read(root, tmp_path).views():
        assert view.intrinsics.tolist() == matrix
        assert view.lens.coefficients == (0.1, -0.05, 0.0, 0.0)
        torch.testing.assert_close(view.world_from_camera, torch.from_numpy(fixed).float())


def metres(episode, frame):
    depth = np.full((HEIGHT, WIDTH), 0.3 + 0.1 * index(episode, frame), np.float32)
    depth[:8, :16], depth[8:16, :16] = 0.0, 20.0  # unknown; beyond the range
    depth[20:30, 20:40] = 4.0
    return depth


def depth_codes(episode, frame):
    """LeRobot's quantisation: 12 bits, logarithmic between 1 cm and 10 m, shifted by 3.5 m."""
    shifted = np.log(metres(episode, frame).astype(np.float64) + 3.5)
    part = (shifted - np.log(3.51)) / (np.log(13.5) - np.log(3.51))
    return np.rint(part * 4095).clip(0, 4095).astype(np.uint16)


DEPTH_INFO = {"is_depth_map": True, "video.depth_min": 0.01, "video.depth_max": 10.0, "video.shift": 3.5}


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_depth_videos(tmp_path, version):
    if "libx265" not in av.codecs_available:
        pytest.skip("this build of PyAV cannot write HEVC")
    videos = {TOP: bar, DEPTH: depth_codes}
    lossless = {"codec": "libx265", "x265-params": "lossless=1:log-level=none:pools=1"}
    features = {DEPTH: {"dtype": "video", "info": {**DEPTH_INFO, "video.use_log": True}}}
    root = write_lerobot(tmp_path / "set", version, videos, features, **{DEPTH: lossless})
    without = read(root, tmp_path)
    assert all(view.depth is None and view.camera == TOP for view in without.views())
    assert any(note.startswith(f"{DEPTH}: not read, because no depth_key of") for note in without.notes)
    side_car(root, top={**K, "depth_key": DEPTH})
    assert read(root, tmp_path).notes == ()
    for episode, recording in enumerate(read(root, tmp_path).recordings):
        for frame, view in enumerate(recording.views()):
            units, unit = decode_depth(view.depth)
            truth = metres(episode, frame)
            unknown = (truth == 0) | (truth > 10)
            assert (units[unknown] == 0).all()
            assert np.abs(units * unit - truth)[~unknown].max() < 2e-3


@pytest.mark.parametrize("form", [".png", ".tiff"])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_images_inside_parquet(tmp_path, version, form):
    def encoded(image, kind):
        out = io.BytesIO()
        Image.fromarray(image).save(out, {".png": "PNG", ".tiff": "TIFF"}[kind])
        return {"bytes": out.getvalue(), "path": f"frame-000000{kind}"}

    columns = {
        TOP: lambda e, f: encoded(bar(e, f), ".png"),
        DEPTH: lambda e, f: encoded((metres(e, f) * 1000).astype(np.uint16), form),
    }
    features = {TOP: {"dtype": "image"}, DEPTH: {"dtype": "image", "info": {"is_depth_map": True}}}
    root = write_lerobot(tmp_path / "set", version, {}, features, columns)
    side_car(root, top={**K, "depth_key": DEPTH})
    with pytest.raises(
        DataError, match=f"{TOP}: the unit of its depth images is not known; give depth_scale"
    ):
        read(root, tmp_path)
    side_car(root, top={**K, "depth_key": DEPTH, "depth_scale": 0.001})
    for episode, recording in enumerate(read(root, tmp_path).recordings):
        for frame, view in enumerate(recording.views()):
            assert number_in(decode_image(view.image)) == index(episode, frame)
            units, unit = decode_depth(view.depth)
            assert np.abs(units * unit - metres(episode, frame)).max() < 1e-3


@pytest.mark.parametrize(
    ("version", "template"),
    [
        ("v2.1", "images/{}/episode_{:06d}/frame_{:06d}.png"),
        ("v3.0", "images/{}/episode-{:06d}/frame-{:06d}.png"),
    ],
)
def test_images_as_files(tmp_path, version, template):
    def named(episode, frame):
        return {"bytes": None, "path": f"/recorder/{template.format(TOP, episode, frame)}"}

    root = write_lerobot(tmp_path / "set", version, {}, {TOP: {"dtype": "image"}}, {TOP: named})
    for episode, length in enumerate(LENGTHS):
        for frame in range(length):
            path = root / template.format(TOP, episode, frame)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(bar(episode, frame)).save(path)
    views = read(root, tmp_path).views()
    assert [number_in(decode_image(view.image)) for view in views] == list(range(15))
    assert all(view.image.is_relative_to(root) for view in views)
    path.unlink()
    with pytest.raises(DataError, match=r"episode 2, frame 3, .*has no image, and its file is not there"):
        read(root, tmp_path)


def test_images_that_are_none(tmp_path):
    features, columns = {TOP: {"dtype": "image"}}, {TOP: lambda e, f: {"bytes": b"pixels", "path": "a.png"}}
    root = write_lerobot(tmp_path / "set", "v2.1", {}, features, columns)
    with pytest.raises(DataError, match=rf"episode 0, frame 0, {TOP}: is not an encoded image"):
        read(root, tmp_path)
    path = root / "data/chunk-000/episode_000000.parquet"
    write_table(path, {**pq.read_table(path).to_pydict(), "frame_index": [0, 1, 2, 2, 4, 5]})
    with pytest.raises(DataError, match="episode 0: has a frame twice"):
        read(root, tmp_path)


def test_import(tmp_path):
    videos = {TOP: bar, WRIST: bar}
    root = write_lerobot(tmp_path / "set", "v3.0", videos)
    side_car(root, top={**K, "world_from_camera": np.eye(4).tolist()})
    write_native(read(root, tmp_path), tmp_path / "out")
    data = read_bop(tmp_path / "out")
    assert [(r.mode, r.split, len(r.moments)) for r in data.recordings] == [
        ("rig", "test", 4),
        ("rig", "train", 6),
        ("rig", "train", 5),
    ]
    moment = data.recordings[2].moments[3]
    assert moment.time == pytest.approx(0.3)
    assert [number_in(decode_image(v.image)) for v in moment.views] == [9, 9]
    assert [v.world_from_camera is None for v in moment.views] == [False, True]


@pytest.fixture
def v3(tmp_path):
    return write_lerobot(
        tmp_path / "set", "v3.0", {TOP: bar}, extra={"observation.state": lambda e, f: [0.0] * 8}
    )


@pytest.fixture
def v2(tmp_path):
    return write_lerobot(tmp_path / "set", "v2.1", {TOP: bar})


def info(root, **changes):
    path = root / "meta" / "info.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def edit_episodes(root, **changes):
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    columns = {**pq.read_table(path).to_pydict(), **changes}
    write_table(path, {key: value for key, value in columns.items() if value is not None})


def cut(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


VIDEO = f"videos/{TOP}/chunk-000/file-000.mp4"
LINES = "meta/episodes.jsonl"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "meta/info.json").unlink(), r"info\.json: this file does not exist"),
        (lambda f: cut(f / "meta/info.json", 0.5), r"info\.json: is not valid JSON"),
        (
            lambda f: info(f, codebase_version="v1.6"),
            "codebase_version 'v1.6' is unknown; choose .* v2.1, v3.0",
        ),
        (lambda f: info(f, codebase_version=None), "codebase_version None is unknown"),
        (lambda f: info(f, features=None), r"info\.json: has no features"),
        (lambda f: info(f, features={"a": 3}), "feature 'a' is not one"),
        (lambda f: info(f, features={}), "has no camera images"),
        (lambda f: info(f, fps=0), "fps is 0"),
        (lambda f: info(f, fps="fast"), "fps is 'fast', not a number"),
        (lambda f: info(f, splits={"train": "all"}), "split train is 'all'"),
        (lambda f: info(f, data_path=None), "lacks data_path"),
        (lambda f: info(f, video_path="{episode}.mp4"), "video_path '{episode}.mp4' cannot be filled in"),
        (lambda f: (f / VIDEO).unlink(), r"file-000\.mp4: is missing, with episode 0; download"),
        (lambda f: (f / "data/chunk-000/file-001.parquet").unlink(), "is missing, with episode 2"),
        (lambda f: cut(f / VIDEO, 0.5), r"file-000\.mp4: cannot be decoded: damaged or truncated"),
        (lambda f: cut(f / "data/chunk-000/file-001.parquet", 0.5), "is not a whole parquet file.*finalize"),
        (lambda f: cut(f / "meta/episodes/chunk-000/file-000.parquet", 0.5), "is not a whole parquet file"),
        (lambda f: (f / "meta/episodes/chunk-000/file-000.parquet").unlink(), "meta: has no episodes"),
        (lambda f: edit_episodes(f, length=[6, 5, 5]), "episode 2: has 4 rows, but meta/ says 5"),
        (lambda f: edit_episodes(f, length=[6, 5, 0]), "episode 2 has no frames"),
        (lambda f: edit_episodes(f, length=[6, None, 4]), "episode 1: length is None"),
        (lambda f: edit_episodes(f, episode_index=[0, 1, 1]), "episode 1 is listed twice"),
        (lambda f: edit_episodes(f, **{"data/file_index": None}), "lacks the column data/file_index; it has"),
        (
            lambda f: edit_episodes(f, **{f"videos/{TOP}/from_timestamp": [0.0, None, 0.0]}),
            "from_timestamp is None",
        ),
        (
            lambda f: edit_episodes(f, **{f"videos/{TOP}/from_timestamp": [0.0, 9.0, 0.0]}),
            r"file-000\.mp4: has no frame at 9\.000 s",
        ),
    ],
)
def test_bad_v3(v3, tmp_path, break_it, message):
    break_it(v3)
    with pytest.raises(DataError, match=message) as raised:
        read(v3, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / LINES).unlink(), r"episodes\.jsonl: this file does not exist"),
        (lambda f: cut(f / LINES, 0.9), r"episodes\.jsonl, line 3: is not valid JSON"),
        (lambda f: (f / LINES).write_text("[1]\n"), r"line 1: is not an episode"),
        (lambda f: (f / LINES).write_text('{"length": 3}\n'), "line 1: episode_index is None"),
        (lambda f: (f / LINES).write_text(""), "meta: has no episodes"),
        (lambda f: info(f, chunks_size=0), "chunks_size is 0"),
        (lambda f: (f / f"videos/chunk-000/{TOP}/episode_000001.mp4").unlink(), "is missing, with episode 1"),
        (lambda f: (f / "data/chunk-000/episode_000001.parquet").unlink(), "is missing, with episode 1"),
    ],
)
def test_bad_v2(v2, tmp_path, break_it, message):
    break_it(v2)
    with pytest.raises(DataError, match=message):
        read(v2, tmp_path)


def test_videos_that_end_too_early(v2, tmp_path):
    path = v2 / f"videos/chunk-000/{TOP}/episode_000001.mp4"
    write_video(path, [bar(1, k) for k in range(3)])
    with pytest.raises(DataError, match=r"episode_000001\.mp4: has no frame at 0\.300 s: truncated"):
        read(v2, tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (40, HEIGHT, WIDTH, 3), dtype=np.uint8)
    write_video(path, list(noise), container={"movflags": "faststart"})
    cut(path, 0.1)  # the index at its start is whole
    with pytest.raises(DataError, match=r"episode_000001\.mp4: (has no frame|cannot be decoded)"):
        read(v2, tmp_path)


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ({"front": K}, rf"json, front: camera 'front' is unknown; choose one of: {TOP}"),
        ({"top": {**K, "depth_key": "depth"}}, "depth_key 'depth' is unknown"),
        ({"top": {**K, "pose_key": "pose"}}, "pose column 'pose' is unknown; choose .*observation.state"),
        ({"top": {**K, "width": 640}}, rf"{TOP}: is for 640x48 images, but these are 64x48"),
        (
            {"top": {"pose_key": "observation.state"}},
            r"episode 0, frame 0, observation\.state: a pose of format matrix has 16 numbers, but there are 8;",
        ),
        (
            {"top": {"pose_key": "observation.state", "pose_format": "xyz_wxyz", "pose_start": 4}},
            "xyz_wxyz has 7 numbers, but there are 4 from 4 on",
        ),
        (
            {"top": {"pose_key": "observation.state", "pose_format": "xyz_wxyz", "pose_start": 0}},
            r"frame 0, observation\.state: the quaternion .* has the length 0",
        ),
    ],
)
def test_a_side_car_that_does_not_fit(v3, tmp_path, cameras, message):
    side_car(v3, **cameras)
    with pytest.raises(DataError, match=message):
        read(v3, tmp_path)


def test_depth_that_is_none(tmp_path):
    root = write_lerobot(tmp_path / "set", "v2.1", {TOP: bar, DEPTH: bar})
    side_car(root, top={**K, "depth_key": DEPTH})
    with pytest.raises(DataError, match="top_depth: is a video, but not marked as depth"):
        read(root, tmp_path)
    features = json.loads((root / "meta/info.json").read_text())["features"]
    features[DEPTH]["info"] = DEPTH_INFO
    info(root, features=features)
    with pytest.raises(
        DataError, match=r"mp4: is not a depth video of LeRobot: 12 bits a pixel, found yuv420p"
    ):
        read(root, tmp_path)
    side_car(root, top={**K, "depth_key": DEPTH, "depth_scale": 0.001})
    with pytest.raises(DataError, match="gives depth_scale for a depth video"):
        read(root, tmp_path)


@pytest.mark.parametrize(("package", "name"), [("av", "av"), ("pyarrow", "pyarrow")])
def test_missing_packages(v3, tmp_path, monkeypatch, package, name):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf'package {name}; pip install "samepoint\[formats\]"'):
        read(v3, tmp_path)
