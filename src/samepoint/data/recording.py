"""The data contract: what every reader returns and every method trains on.

A data set is a list of recordings; a recording a list of moments; a moment one or more views taken at the
same time. What a source lacks is None or empty, never a sentinel. Files are named here and decoded elsewhere
(`samepoint.data.store`). Poses are 4x4, metres, OpenCV axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.lenses import Lens

Mode = Literal["scan", "shuffle", "rig", "robot-only", "photos"]
"""scan: moving camera, static scene. shuffle: fixed camera, objects rearranged between moments. rig: several
synchronised cameras. robot-only: the robot without objects. photos: unordered images, nothing known."""

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Placement:
    """One object in one view. `mask` is its visible part (8-bit PNG, 255 on the object); with `label` the file
    numbers several objects, and this one is where it holds `label`. `as_stored`: the mask lies as the image's pixels
    are stored, not as its EXIF orientation shows them."""

    object_id: int
    camera_from_object: Float[Tensor, "4 4"] | None = None
    mask: Path | None = None
    visible_fraction: float | None = None
    label: int | None = None
    as_stored: bool = False


@dataclass(frozen=True)
class DepthFile:
    """A depth image (see `depth_files`) of `metres_per_unit`, 0 and the value `unknown` where unknown. `intrinsics`:
    the camera matrix of a depth image that has another size than its colour image, and the same centre and axes."""

    path: Path
    metres_per_unit: float
    unknown: int | None = None
    intrinsics: Float[Tensor, "3 3"] | None = None


@dataclass(frozen=True)
class DepthQuantiles:
    """The depths at m equal probabilities of each pixel's ray: one of the m drawn at random is a draw from the
    density along the ray. An array `m h w` (.npy) of `metres_per_unit`, ascending, floating point or uint16; NaN or 0
    where unknown, all m of a pixel or none. The view's `depth` is then the likeliest of each ray.
    """

    path: Path
    metres_per_unit: float = 1.0


@dataclass(frozen=True)
class View:
    """One image of one camera. `placements` lists the objects in it, when known. `lens`: its image, depth and masks
    are bent, and `intrinsics` are those of the image that import makes of it by straightening (`importers`)."""

    camera: str
    image: Path
    intrinsics: Float[Tensor, "3 3"] | None = None
    world_from_camera: Float[Tensor, "4 4"] | None = None
    depth: DepthFile | None = None
    placements: tuple[Placement, ...] = ()
    lens: Lens | None = None
    depth_quantiles: DepthQuantiles | None = None


@dataclass(frozen=True)
class Moment:
    """Views taken at the same time (seconds). In a scan each moment has one view.

    Of several calibrated cameras: `clicks` are labelled pixels by camera and keypoint (of the image as recorded, bent
    by its lens), `truth` the exact places of keypoints where they are known (rendered), world, metres. `times` are
    those of each camera's own clock, where there are some; `time` is then their mean. `frames` names the frames of
    cameras that are called otherwise than the moment (paired by time).
    """

    views: tuple[View, ...]
    time: float | None = None
    sync_group: str | None = None
    name: str | None = None
    clicks: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    truth: Mapping[str, Float[Tensor, 3]] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    frames: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Moments of one scene (scan, rig) or of one camera over rearranged scenes (shuffle, photos).

    `take`: recordings of one take are lists of the images of one pass of a camera (see `takes`). `still`: of a rig,
    ranges of moments (first and last, by their place in `moments`) during which nothing in the scene moves."""

    name: str
    mode: Mode
    moments: tuple[Moment, ...]
    split: Split | None = None
    take: str | None = None
    still: tuple[tuple[int, int], ...] = ()

    def views(self) -> Iterator[View]:
        for moment in self.moments:
            yield from moment.views

    def with_views(self, change: Callable[[View], View]) -> Recording:
        """The same with every view changed."""
        moments = (replace(m, views=tuple(change(view) for view in m.views)) for m in self.moments)
        return replace(self, moments=tuple(moments))

    @property
    def static(self) -> bool:
        """Whether world poses relate the same surface points over all its views."""
        return self.mode == "scan"


@dataclass(frozen=True)
class Symmetry:
    """BOP's symmetries of an object: discrete 4x4 transforms, or continuous (axis, offset), object frame."""

    discrete: tuple[Float[Tensor, "4 4"], ...] = ()
    continuous: tuple[tuple[Float[Tensor, 3], Float[Tensor, 3]], ...] = ()


@dataclass(frozen=True)
class ObjectModel:
    """An object. `mesh` is a PLY in metres or millimetres (`metres_per_unit`), object frame; if it has vertex
    properties cx, cy, cz these are the canonical surface coordinates that its `family` shares.
    `keypoints` are named points of the family, object frame, metres."""

    object_id: int
    family: str | None = None
    mesh: Path | None = None
    metres_per_unit: float = 1.0
    keypoints: Mapping[str, Float[Tensor, 3]] = field(default_factory=dict)
    symmetry: Symmetry | None = None
    diameter: float | None = None


@dataclass(frozen=True)
class Dataset:
    """Recordings and the objects in them. `root` is where it was read from. `notes`: a line for all that was found
    there and is not used, or was read otherwise than it is written, with the reason (see `leftovers`)."""

    root: Path
    recordings: tuple[Recording, ...]
    objects: Mapping[int, ObjectModel] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def split(self, name: Split) -> Dataset:
        """The recordings of one split (recordings that declare none belong to every split)."""
        kept = tuple(r for r in self.recordings if r.split in (None, name))
        return replace(self, recordings=kept)

    def views(self) -> tuple[View, ...]:
        return tuple(view for recording in self.recordings for view in recording.views())
