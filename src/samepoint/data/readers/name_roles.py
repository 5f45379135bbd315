"""What a file shows by the words in its name: 000001-color.png, 000001-depth.png, IMG_1_mask.png, depth_0001.png."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from samepoint.data.file_kinds import IMAGE_SUFFIXES

Role = Literal["colour", "depth", "mask", "label", "pose", "other"]
WORDS: dict[Role, frozenset[str]] = {
    "pose": frozenset({"pose", "poses", "extrinsic", "extrinsics", "cam2world"}),
    "other": frozenset(
        {
            *("normal", "normals", "ir", "infrared", "confidence", "conf", "edge", "edges", "flow", "nocs"),
            *("albedo", "thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews", "overlay"),
            *("box", "meta", "vis", "gray", "grey", "disparity", "disp"),
        }
    ),
    "mask": frozenset({"mask", "masks", "matte", "mattes", "silhouette", "silhouettes", "foreground"}),
    "label": frozenset(
        {
            *("label", "labels", "seg", "segm", "segmentation", "segmentations", "instance", "instances"),
            *("semantic", "semantics", "instanceid", "gt", "groundtruth", "annotation", "annotations"),
        }
    ),
    "depth": frozenset({"depth", "depths", "depthmap", "depthmaps", "dpt"}),
    "colour": frozenset(
        {"color", "colour", "colors", "colours", "rgb", "rgba", "image", "images", "img", "imgs"}
    ),
}
"""By role; of a name with words of several roles the first counts (mask_visib_rgb is a mask)."""
BY_WORD: dict[str, Role] = {word: role for role, words in WORDS.items() for word in words}
SEPARATORS = re.compile(r"[._\- ]+")


def role_of(stem: str) -> tuple[str, Role | None]:
    """A name without its ending in two parts: the key it shares with other files of its moment (small letters), and
    its role, None where no word says one. A photo's ending within the name (IMG_1.jpg.png) belongs to neither."""
    inner = Path(stem).suffix.lower()
    if inner in IMAGE_SUFFIXES:
        stem = stem[: -len(inner)]
    kept: list[str] = []
    found: set[Role] = set()
    for word in SEPARATORS.split(re.sub(r"ground[._\- ]truth", "groundtruth", stem.lower())):
        letters = re.match(r"[a-z]+(?=\d*$)", word)
        role = BY_WORD.get(word) or (BY_WORD.get(letters[0]) if letters else None)
        if role is None:
            kept.append(word)
            continue
        found.add(role)
        if letters and word[len(letters[0]) :] and word not in BY_WORD:
            kept.append(word[len(letters[0]) :])
    first: Role | None = next((role for role in WORDS if role in found), None)
    return "_".join(word for word in kept if word), first


def key_of(path: Path) -> str:
    """The first part of `role_of` for a file."""
    return role_of(path.stem)[0]
