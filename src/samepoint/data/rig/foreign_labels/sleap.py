"""Labels and predictions of SLEAP: projects (.slp), analysis files (.h5) and tables (.csv)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.rig.foreign_labels.labels import ForeignLabel, ForeignLabels, keypoint_name
from samepoint.errors import DataError
from samepoint.tables import decimal_point, read_rows
from samepoint.text import read_text

OLD_CENTRES = 1.1
"""Projects of a lower format have pixels that end, not lie, at whole numbers."""
PREDICTED = 1
MEND = "write it again with SLEAP (File, Export Analysis)"


def read_project(path: Path, file: Any) -> ForeignLabels:
    """An open project. Where a person labelled an instance, its prediction counts no more. Frames are numbers, with
    their video's name before them if there are several. DataError for frames with several instances and no tracks.
    """
    try:
        metadata = json.loads(file["metadata"].attrs["json"])
        names = [node["name"] for node in metadata["nodes"]]
        skeletons = [[_node(node["id"]) for node in one["nodes"]] for one in metadata["skeletons"]]
        moved = 0.5 if float(file["metadata"].attrs.get("format_id", OLD_CENTRES)) < OLD_CENTRES else 0.0
        tracks = [json.loads(_text(line))[1] for line in file["tracks_json"][()]]
        videos = [_video(json.loads(_text(line))) for line in file["videos_json"][()]]
        frames, instances = file["frames"][()], file["instances"][()]
        points = {0: file["points"][()], PREDICTED: file["pred_points"][()]}
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError("is not a project of SLEAP's that is known here", where=path, mend=MEND) from error
    labels: list[ForeignLabel] = []
    empty = 0
    for frame in frames:
        mine = instances[int(frame["instance_id_start"]) : int(frame["instance_id_end"])]
        video = videos[int(frame["video"])] if len(videos) > 1 else ""
        name = f"{video}/{int(frame['frame_idx'])}" if video else str(int(frame["frame_idx"]))
        for instance in _counting(mine, path, name):
            kind, track = int(instance["instance_type"]), int(instance["track"])
            animal = tracks[track] if 0 <= track < len(tracks) else ""
            chosen = points[kind][int(instance["point_id_start"]) : int(instance["point_id_end"])]
            for node, point in zip(skeletons[int(instance["skeleton"])], chosen):
                uv = float(point["x"]) - moved, float(point["y"]) - moved
                if not all(map(math.isfinite, uv)) or not point["visible"]:
                    empty += 1
                    continue
                sure = float(point["score"]) if kind == PREDICTED else None
                keypoint = keypoint_name(animal, names[node], len(tracks))
                labels.append(ForeignLabel(name, keypoint, uv, sure))
    return ForeignLabels("SLEAP", path, tuple(labels), empty)


def _counting(instances: Any, path: Path, frame: str) -> list[Any]:
    """Of the instances of a frame, one for each track: a person's before a prediction, else the surest."""
    of_track: dict[int, list[Any]] = {}
    for instance in instances:
        of_track.setdefault(int(instance["track"]), []).append(instance)
    people = [i for i in instances if int(i["instance_type"]) != PREDICTED]
    if len(of_track.get(-1, ())) > 1 and len(people) != 1:
        what = f"frame {frame} has {len(of_track[-1])} instances without tracks: which is which is not known"
        raise DataError(what, where=path, mend="give them tracks in SLEAP, or keep one instance a frame")
    if -1 in of_track and len(people) == 1:
        return people
    return [
        min(same, key=lambda i: (int(i["instance_type"]) == PREDICTED, -float(i["score"])))
        for same in of_track.values()
    ]


def read_analysis(path: Path, file: Any) -> ForeignLabels:
    """An open analysis file: predictions of one video, frames are their numbers."""
    try:
        names = [_text(name) for name in file["node_names"][()]]
        animals = [_text(name) for name in file["track_names"][()]]
        places = np.asarray(file["tracks"][()], dtype=float)
        if places.ndim == 4 and places.shape[1] != 2 and places.shape[2] == 2:  # frames, nodes, 2, tracks
            places = places.transpose(3, 2, 1, 0)
        count, two, nodes, frames = places.shape
        scores = np.asarray(file["point_scores"][()], dtype=float) if "point_scores" in file else None
        if scores is not None and scores.shape != (count, nodes, frames):
            scores = scores.T if scores.T.shape == (count, nodes, frames) else None
        if two != 2 or nodes != len(names):
            raise ValueError("shape")
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            "is not an analysis file of SLEAP's that is known here", where=path, mend=MEND
        ) from error
    labels: list[ForeignLabel] = []
    known = np.isfinite(places).all(axis=1)  # tracks, nodes, frames
    for track, node, frame in np.argwhere(known):
        animal = animals[track] if track < len(animals) else str(track)
        u, v = places[track, :, node, frame].tolist()
        sure = float(scores[track, node, frame]) if scores is not None else 1.0
        keypoint = keypoint_name(animal, names[node], count)
        labels.append(ForeignLabel(str(frame), keypoint, (u, v), sure))
    return ForeignLabels("SLEAP", path, tuple(labels), int((~known).sum()))


def is_sleap_csv(path: Path) -> bool:
    header = read_text(path).split("\n", 1)[0].lower()
    return "frame_idx" in header and ".x" in header


def read_sleap_csv(path: Path) -> ForeignLabels:
    """track, frame_idx, instance.score, NODE.x, NODE.y, NODE.score."""
    table = read_rows(path)
    places = {name: k for k, name in enumerate(table.header)}
    nodes = [name[:-2] for name in table.header if name.endswith(".x") and f"{name[:-2]}.y" in places]
    animals = {fields[places["track"]] for _, fields in table.rows} if "track" in places else set()
    labels: list[ForeignLabel] = []
    empty = 0
    for where, fields in table.rows:
        row = {name: fields[k] if k < len(fields) else "" for name, k in places.items()}
        for node in nodes:
            uv = tuple(_number(decimal_point(row[f"{node}.{axis}"], table), where) for axis in "xy")
            if not all(map(math.isfinite, uv)):
                empty += 1
                continue
            sure = _number(row.get(f"{node}.score", ""), where)
            keypoint = keypoint_name(row.get("track", ""), node, len(animals))
            known = sure if math.isfinite(sure) else None
            labels.append(ForeignLabel(row["frame_idx"], keypoint, (uv[0], uv[1]), known))
    return ForeignLabels("SLEAP", path, tuple(labels), empty)


def _node(entry: Any) -> int:
    return int(entry["py/id"]) - 1 if isinstance(entry, dict) else int(entry)


def _video(content: Any) -> str:
    backend = content.get("backend", content) if isinstance(content, dict) else {}
    name = backend.get("filename", "")
    first = name[0] if isinstance(name, Sequence) and not isinstance(name, str) and name else name
    return str(first).replace("\\", "/")


def _text(entry: Any) -> str:
    return entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)


def _number(text: str, where: str) -> float:
    if not text or text.lower() == "nan":
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{text!r} is not a number", where=where, mend="correct or empty it") from error
