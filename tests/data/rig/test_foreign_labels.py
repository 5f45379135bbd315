"""Labels of DeepLabCut, Lightning Pose and SLEAP: read, put to cameras and frames, and told where they lie unread."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.rig.synthetic import make_rig

from samepoint.cli.labels import Labels
from samepoint.data.readers.multi_camera import names_of, read_multi_camera
from samepoint.data.rig.foreign_labels.placing import place
from samepoint.data.rig.foreign_labels.read import read_foreign_labels
from samepoint.errors import DataError

REAL = Path(__file__).parents[4] / "shared/realdata/keypoints_mirror_mouse/CollectedData.csv"
NAN = float("nan")


@pytest.fixture
def rig(tmp_path):
    """Two cameras, front and left, three moments, no labels.csv."""
    folder = make_rig(number=2, moments=3, keypoints=2).write(tmp_path / "rig")
    (folder / "labels.csv").unlink()
    return folder


def deeplabcut(rows, coords=("x", "y"), individuals=()):
    """Of keypoints nose and ear; `rows`: an index and numbers."""
    parts = [(i, k, c) for i in individuals or ("",) for k in ("nose", "ear") for c in coords]
    heads = [
        ["scorer", *["me"] * len(parts)],
        ["bodyparts", *[k for _, k, _ in parts]],
        ["coords", *[c for *_, c in parts]],
    ]
    if individuals:
        heads.insert(1, ["individuals", *[i for i, _, _ in parts]])
    return "\n".join(",".join("" if v is NAN else str(v) for v in row) for row in [*heads, *rows]) + "\n"


def taken(path):
    return {(label.frame, label.keypoint): label.uv for label in read_foreign_labels(path).labels}


def test_csv_of_deeplabcut(tmp_path):
    file = tmp_path / "CollectedData_me.csv"
    file.write_text(deeplabcut([["labeled-data\\left\\img1.png", 1, 2, NAN, NAN]]))
    assert taken(file) == {("labeled-data/left/img1.png", "nose"): (1.0, 2.0)}
    assert read_foreign_labels(file).empty == 1
    file.write_text(deeplabcut([[7, 1, 2, 0.9, 3, 4, 0.2]], coords=("x", "y", "likelihood")))
    assert [label.confidence for label in read_foreign_labels(file).labels] == [0.9, 0.2]
    file.write_text(deeplabcut([["a/b.png", 1, 2, 3, 4, 5, 6, 7, 8]], individuals=("m1", "m2")))
    assert taken(file)["a/b.png", "m2_ear"] == (7.0, 8.0)
    file.write_text(deeplabcut([["a/b.png", 1, 2, 3, 4]], individuals=("m1",)))
    assert ("a/b.png", "ear") in taken(file)
    three = deeplabcut([["labeled-data", "left", "img1.png", 1, 2, 3, 4]]).replace("scorer,", "scorer,,,")
    file.write_text(three.replace("bodyparts,", "bodyparts,,,").replace("coords,", "coords,,,"))
    assert taken(file)["labeled-data/left/img1.png", "ear"] == (3.0, 4.0)
    file.write_text(deeplabcut([["a/b.png", 1, 2, 3, "four"]]))
    with pytest.raises(DataError, match="row 4: 'four' is not a number"):
        read_foreign_labels(file)
    file.write_text(deeplabcut([["a/b.png", 1, 2, 3]]))
    with pytest.raises(DataError, match="row 4: has 4 fields, the header 5"):
        read_foreign_labels(file)
    file.write_text("name,age\nBo,3\n")
    with pytest.raises(DataError, match=r"no labels in a form that is known.*DeepLabCut.*SLEAP"):
        read_foreign_labels(file)


def write_fixed(path, h5py, frames, values):
    """As pandas writes a table of columns scorer, bodyparts, coords."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update({"pandas_type": b"frame", "nblocks": 1})
        for axis in ("axis0", "block0_items"):
            group.attrs[f"{axis}_nlevels"] = 3
            for k, (level, code) in enumerate(
                (([b"me"], [0] * 4), ([b"ear", b"nose"], [1, 1, 0, 0]), ([b"x", b"y"], [0, 1] * 2))
            ):
                group[f"{axis}_level{k}"] = level
                group[f"{axis}_label{k}"] = np.array(code, np.int8)
        group["axis1"] = frames
        group["block0_values"] = np.array(values)


def write_table_form(path, h5py, kind, values):
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = b"frame_table"
        rows = np.array(
            [(i, row) for i, row in enumerate(values)],
            dtype=[("index", "<i8"), ("values_block_0", "<f8", (len(values[0]),))],
        )
        group["table"] = rows
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(kind, protocol=0))


def test_hdf5_of_deeplabcut(tmp_path):
    h5py = pytest.importorskip("h5py")
    file = tmp_path / "labels.h5"
    write_fixed(file, h5py, [b"a/1.png", b"a/2.png"], [[1, 2, NAN, NAN], [3, 4, 5, 6]])
    assert taken(file) == {
        ("a/1.png", "nose"): (1, 2),
        ("a/2.png", "nose"): (3, 4),
        ("a/2.png", "ear"): (5, 6),
    }
    columns = [("net", "nose", axis) for axis in ("x", "y", "likelihood")]
    write_table_form(file, h5py, columns, [[1, 2, 0.9], [3, 4, 0.1]])
    assert taken(file) == {("0", "nose"): (1, 2), ("1", "nose"): (3, 4)}


class _Harm:
    def __reduce__(self):
        return (io.open, ("harm", "w"))


def test_a_pickle_in_an_hdf5_file_that_names_a_function_is_refused(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    write_table_form(tmp_path / "labels.h5", h5py, _Harm(), [[1, 2, 0.9]])
    with pytest.raises(DataError, match="not a table of DeepLabCut's that is known"):
        read_foreign_labels(tmp_path / "labels.h5")
    assert not (tmp_path / "harm").exists()


def write_project(path, h5py, instances, points, predicted):
    """`instances`: type, frame, first point, score; two points each."""
    fields = [("instance_id", "i4"), ("instance_type", "u1"), ("frame_id", "i4"), ("skeleton", "i4"), ("track", "i4"),
              ("score", "f4"), ("point_id_start", "i4"), ("point_id_end", "i4")]  # fmt: skip
    frames = sorted({frame for _, frame, _, _ in instances})
    ordered = sorted(instances, key=lambda i: i[1])
    starts = {f: next(k for k, i in enumerate(ordered) if i[1] == f) for f in frames}
    ends = {f: starts[f] + sum(i[1] == f for i in ordered) for f in frames}
    plain = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
    with h5py.File(path, "w") as file:
        meta = {
            "nodes": [{"name": "ear"}, {"name": "nose"}],
            "skeletons": [{"nodes": [{"id": 1}, {"id": 0}]}],
        }
        file.create_group("metadata").attrs.update({"json": json.dumps(meta), "format_id": 1.2})
        file["tracks_json"] = np.array([], "S1")
        file["videos_json"] = [np.bytes_(json.dumps({"backend": {"filename": "left.mp4"}}))]
        file["frames"] = np.array(
            [(k, 0, f, starts[f], ends[f]) for k, f in enumerate(frames)],
            dtype=[
                ("frame_id", "i4"),
                ("video", "i4"),
                ("frame_idx", "i4"),
                ("instance_id_start", "i4"),
                ("instance_id_end", "i4"),
            ],
        )
        rows = [(k, t, f, 0, -1, s, p, p + 2) for k, (t, f, p, s) in enumerate(ordered)]
        file["instances"] = np.array(rows, dtype=fields)
        file["points"] = np.array([(*p, True, True) for p in points], dtype=plain)
        file["pred_points"] = np.array(
            [(*p, True, True, s) for *p, s in predicted], dtype=[*plain, ("score", "f8")]
        )


def test_projects_of_sleap(tmp_path):
    """A person's instance counts before the prediction of the same frame."""
    h5py = pytest.importorskip("h5py")
    file = tmp_path / "left.slp"
    write_project(
        file, h5py, [(0, 1, 0, 0), (1, 1, 0, 0.9), (1, 2, 2, 0.8)], [(1, 2), (NAN, NAN)],
        [(7, 7, 0.9), (8, 8, 0.9), (3, 4, 0.7), (5, 6, 0.5)],
    )  # fmt: skip
    assert taken(file) == {("1", "nose"): (1, 2), ("2", "nose"): (3, 4), ("2", "ear"): (5, 6)}
    assert [label.confidence for label in read_foreign_labels(file).labels] == [None, 0.7, 0.5]
    write_project(file, h5py, [(0, 1, 0, 0), (0, 1, 0, 0)], [(1, 2), (3, 4)], [(7, 7, 0.9)] * 2)
    with pytest.raises(DataError, match="frame 1 has 2 instances without tracks"):
        read_foreign_labels(file)
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(DataError, match="breaks off"):
        read_foreign_labels(file)


def test_exports_of_sleap(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "left.analysis.h5", "w") as file:
        places = np.full((1, 2, 2, 3), NAN)
        places[0, :, 1, 2] = 5, 6
        file["tracks"], file["node_names"] = places, [b"nose", b"ear"]
        file["track_names"], file["point_scores"] = [b"mouse"], np.full((1, 2, 3), 0.7)
    assert taken(tmp_path / "left.analysis.h5") == {("2", "ear"): (5, 6)}
    table = "track,frame_idx,instance.score,nose.x,nose.y,nose.score\n,4,0.9,1.5,2.5,0.8\n,5,0.9,,,\n"
    (tmp_path / "left.csv").write_text(table)
    assert taken(tmp_path / "left.csv") == {("4", "nose"): (1.5, 2.5)}


def test_each_file_goes_to_its_camera_and_each_label_to_its_frame(rig):
    mixed = rig.parent / "labels_of_all.csv"
    mixed.write_text(
        deeplabcut(
            [["labeled-data/front/img0001.png", 1, 2, 3, 4], ["labeled-data/left/000002.png", 5, 6, NAN, NAN]]
        )
    )
    names = names_of(rig)
    assert place([str(mixed)], names, 0.6).rows == (
        ("000001", "front", "nose", 1.0, 2.0),
        ("000001", "front", "ear", 3.0, 4.0),
        ("000002", "left", "nose", 5.0, 6.0),
    )
    predicted = rig.parent / "leftDLC_resnet50_shuffle1.csv"
    rows = [[2, 9, 9, 0.99, 3, 4, 0.9], [1, 1, 1, 0.1, 2, 2, 0.7], [8, 1, 1, 0.9, 2, 2, 0.9]]
    predicted.write_text(deeplabcut(rows, coords=("x", "y", "likelihood")))
    placed = place([str(mixed), str(predicted)], names, 0.6)
    of_left = {(frame, name): uv for frame, camera, name, *uv in placed.rows if camera == "left"}
    assert of_left == {("000002", "nose"): [5, 6], ("000002", "ear"): [3, 4], ("000001", "ear"): [2, 2]}
    told = "\n".join(placed.lines)
    assert "6 of its labels are predictions" in told
    assert "1 predictions are less sure than 0.6" in told
    assert "2 labels are of frames that the recording has not (such as 8)" in told
    other = rig.parent / "nowhere.csv"
    other.write_text(deeplabcut([["img9.png", 1, 2, 3, 4]]))
    with pytest.raises(DataError, match=r"of no camera that is known; .*front, left.*CAMERA="):
        place([str(other)], names, 0.6)
    with pytest.raises(
        DataError, match=r"such as img9\.png\) is one of the recording's; frames are named like 000000"
    ):
        place([f"left={other}"], names, 0.6)
    other.write_text(deeplabcut([["img1.png", 1, 2, 3, 4], ["img01.png", 1, 2, 3, 5]]))
    with pytest.raises(DataError, match="ear of left at 000001 is labelled twice"):
        place([f"left={other}"], names, 0.6)


def test_labels_that_lie_in_the_recording_are_named_with_the_command_that_takes_them(rig, capsys):
    for camera in ("front", "left"):
        text = deeplabcut([[f"labeled-data/{camera}/000001.png", 1, 2, 3, 4]])
        (rig / camera / "CollectedData_me.csv").write_text(text)
    files = tuple(str(rig / camera / "CollectedData_me.csv") for camera in ("front", "left"))
    (note,) = read_multi_camera(rig).notes
    assert f"samepoint data labels {rig} --from {' '.join(files)} takes them" in note
    with pytest.raises(DataError, match=r"no keypoint is labelled; 2 files .*--from"):
        Labels(rig).run()
    Labels(rig, from_=files).run()
    assert "wrote 4 labels" in capsys.readouterr().out
    dataset = read_multi_camera(rig)
    assert dataset.recordings[0].moments[1].clicks["left"] == {"nose": (1.0, 2.0), "ear": (3.0, 4.0)}
    assert "labels.csv counts" in dataset.notes[0]
    before = (rig / "labels.csv").read_bytes()
    with pytest.raises(DataError, match=r"is there already; .*--overwrite"):
        Labels(rig, from_=files).run()
    with pytest.raises(DataError, match="is the file that is written"):
        Labels(rig, from_=(str(rig / "labels.csv"),), overwrite=True).run()
    assert (rig / "labels.csv").read_bytes() == before


def test_a_labels_csv_of_another_program(rig):
    (rig / "labels.csv").write_text(deeplabcut([["labeled-data/left/000001.png", 1, 2, 3, 4]]))
    with pytest.raises(DataError, match=r"labels\.csv: is a table of DeepLabCut.*--from .*other_labels\.csv"):
        read_multi_camera(rig)


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared recordings")
def test_hand_labels_of_a_mouse():
    read = read_foreign_labels(REAL)
    assert (len({label.frame for label in read.labels}), len(read.labels), read.empty) == (90, 1396, 134)
