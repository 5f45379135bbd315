"""The 6-D pose of an object from the keypoints that a network found on it by itself (seed 000, section 4.4).

Once, from views with known poses, each keypoint's place on the object is worked out (`ObjectKeypoints`). In a new
image the keypoints' places in the camera's frame then give the pose: with the camera's depth, with the depth that the
network itself answers, or from the pixels alone (PnP).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.depth import depth_at, known
from samepoint.correspondence.heatmaps import KeypointMaps, estimate_keypoints, interpolated
from samepoint.data.object_shape import ObjectShape
from samepoint.data.plausible import check_depth
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length, project, unproject
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import resize_intrinsics, resize_pixels
from samepoint.geometry.robust import NoFitError, RigidFit, robust_pnp, robust_rigid
from samepoint.geometry.triangulation import triangulate_pixels
from samepoint.inference.images import resized, working_size
from samepoint.types import Size

Lift = Literal["camera", "regressed", "pixels"]
"""Where depth comes from: the camera, the network, or nowhere (PnP)."""

FEWEST = 6
"""Keypoints that must agree on a pose."""
NEAR_HOLE = 3
"""Pixels within which a keypoint without depth takes that of another pixel."""
AGREES_PX = 8.0
"""Pixels, at the working size, within which a view agrees with where a keypoint was worked out to be."""


@dataclass(frozen=True)
class SeenKeypoints:
    """The network's n keypoints in one image: `uv` pixels of that image, `depth` the network's (metres), `certainty`
    1 / (1 + their spread in pixels at the working size). NaN and certainty 0 where they cannot be anywhere."""

    uv: Float[Tensor, "n 2"]
    depth: Float[Tensor, " n"]
    certainty: Float[Tensor, " n"]


@dataclass(frozen=True)
class ObjectKeypoints:
    """Where the keypoints are on an object: metres, object frame. `weight`: how much a keypoint is to be trusted (0:
    not at all), from how well the views agreed on it. `shape`: what the object itself is known by. `behind`: how far
    (metres) along the optical axis a keypoint lies behind the surface that a camera measures in its place, the median
    of the views with depth; the mean of a broad heatmap is inside the object."""

    xyz: Float[Tensor, "n 3"]
    weight: Float[Tensor, " n"]
    shape: ObjectShape = field(default_factory=ObjectShape)
    behind: Float[Tensor, " n"] | float = 0.0


@dataclass(frozen=True)
class ObjectPose:
    """`camera_from_object` and what speaks for it: `inliers` of the keypoints agree within `rms` metres (pixels of a
    pose from pixels)."""

    camera_from_object: Float[Tensor, "4 4"]
    inliers: int
    rms: float


@dataclass(frozen=True)
class PosedView:
    """An image with what must be known to learn an object's keypoints from it; all of the image's size."""

    image: Float[Tensor, "3 h w"]
    intrinsics: Float[Tensor, "3 3"]
    camera_from_object: Float[Tensor, "4 4"]
    mask: Bool[Tensor, "_ _"] | None = None
    depth: Float[Tensor, "_ _"] | None = None


KeypointFunction = Callable[[Float[Tensor, "1 3 h w"]], tuple[KeypointMaps, Any]]
"""A `KeypointNetwork` in evaluation mode, or anything that answers like one."""


class PoseFinder:
    """Finds the pose of an object in images. `max_size`: long side at which the network sees them; `objects`: the
    keypoints of each object that it knows, by its id."""

    def __init__(
        self,
        network: KeypointFunction,
        objects: dict[int, ObjectKeypoints],
        *,
        max_size: int | None = 320,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.objects, self.max_size = network, objects, max_size
        self.device = torch.device(device)

    def see(
        self,
        image: Float[Tensor, "3 h w"],
        intrinsics: Float[Tensor, "3 3"],
        *,
        mask: Bool[Tensor, "_ _"] | None = None,
        depth: Float[Tensor, "_ _"] | None = None,
    ) -> SeenKeypoints:
        """The keypoints in an image. Where `mask` is false, or `depth` (metres) is given but unknown, their
        probability is switched off (seed 000, section 4.4). Where that is everywhere they are nowhere (NaN).

        DataError for a mask or depth of another size than the image.
        """
        _check_sizes(image, mask, depth)
        size, working = self._sizes(image)
        allowed = _allowed(mask, depth, working)
        with torch.inference_mode():
            maps, _ = self.network(resized(image, working)[None].to(self.device))
            if allowed is not None and not bool(allowed.any()):
                return _nowhere(maps.logits.shape[1])
            found = estimate_keypoints(_restricted(interpolated(maps), allowed), resolution="cells")
        camera = resize_intrinsics(intrinsics.float(), size, working)
        return SeenKeypoints(
            resize_pixels(found.uv[0].cpu().float(), working, size),
            found.z[0].cpu().float() * focal_length(camera) / found.focal,
            1 / (1 + found.spread[0].cpu().float().sqrt()),
        )

    def learn(self, number: int, views: Sequence[PosedView]) -> ObjectKeypoints:
        """Works out the keypoints of an object from views with known poses, and remembers them under its id.

        From three views on where the lines of sight meet; from fewer where depth puts them (the camera's if there is
        one). Views with an empty mask do not count. DataError for no view, a mask or depth of another size than its
        image, and depth of fewer than three views that is not in metres.
        """
        shown, seen = [], []
        for view in views:
            _check_sizes(view.image, view.mask, view.depth)
            if view.mask is None or bool(view.mask.any()):
                shown.append(view)
                seen.append(self.see(view.image, view.intrinsics, mask=view.mask))
        if not shown:
            raise DataError(f"there is no view of object {number}", mend="give views with its mask and pose")
        if len(shown) < 3:
            learnt = _lifted(shown, seen)
        else:
            learnt = _triangulated(shown, seen, [self._sizes(view.image) for view in shown])
        self.objects[number] = learnt
        return learnt

    def find_pose(
        self,
        number: int,
        image: Float[Tensor, "3 h w"],
        intrinsics: Float[Tensor, "3 3"],
        *,
        depth: Float[Tensor, "_ _"] | None = None,
        lift: Lift | None = None,
        mask: Bool[Tensor, "_ _"] | None = None,
    ) -> ObjectPose | None:
        """The pose of an object; None where too few keypoints agree on one, or where nothing is known of its depth.

        `lift` None: by the camera's depth where it is given (metres, registered to the image), else from pixels.
        `mask`: where the object is, if that is known; none of it: nowhere. DataError for an object that it has not
        learnt, a mask or depth of another size than the image, and depth that is not in metres.
        """
        if number not in self.objects:
            names = ", ".join(map(str, self.objects)) or "none"
            raise DataError(f"object {number} is unknown", mend=f"learn it first; known are: {names}")
        lift = lift or ("pixels" if depth is None else "camera")
        _check_sizes(image, mask, depth)
        if lift == "camera":
            if depth is None:
                raise DataError(
                    "there is no depth image", mend="give one, or lift by 'regressed' or 'pixels'"
                )
            _check_metres(depth, mask)
        seen = self.see(image, intrinsics, mask=mask, depth=depth if lift == "camera" else None)
        if not bool(seen.uv.isfinite().any()):
            return None
        try:
            fit, least = self._fit(self.objects[number], seen, intrinsics.float(), depth, lift)
        except NoFitError:
            return None
        if int(fit.inliers.sum()) < least:
            return None
        return ObjectPose(fit.motion, int(fit.inliers.sum()), fit.rms)

    def _sizes(self, image: Float[Tensor, "3 h w"]) -> tuple[Size, Size]:
        """The image's size, and that at which the network sees it."""
        size: Size = (image.shape[1], image.shape[2])
        return size, working_size(size, self.max_size)

    def _fit(
        self,
        model: ObjectKeypoints,
        seen: SeenKeypoints,
        intrinsics: Tensor,
        depth: Tensor | None,
        lift: Lift,
    ) -> tuple[RigidFit, int]:
        """NoFitError where no pose fits. Agreeing is a matter of the object's size."""
        trusted = model.weight > 0
        extent = float(model.xyz[trusted].std(0).norm()) if int(trusted.sum()) > 1 else 0.0
        least = min(FEWEST, int(trusted.sum()))
        if lift == "pixels":
            middle = float(seen.depth.median())
            limit = 0.15 * extent * float(focal_length(intrinsics)) / max(middle, 1e-3)
            points = torch.where(trusted[:, None], model.xyz, torch.nan)
            return robust_pnp(points, seen.uv, intrinsics, threshold_px=max(2.0, limit)), least
        if lift == "camera":
            assert depth is not None
            z = depth_at(depth.float(), seen.uv, radius=NEAR_HOLE) + model.behind
        else:
            z = seen.depth
        xyz = unproject(intrinsics, seen.uv, z)
        weights = model.weight * seen.certainty
        generator = torch.Generator().manual_seed(0)
        limit = max(0.2 * extent, 1e-3)
        return robust_rigid(model.xyz, xyz, weights, threshold=limit, generator=generator), least


def _check_sizes(image: Tensor, mask: Tensor | None, depth: Tensor | None) -> None:
    """DataError for planes that do not have the image's size."""
    size = tuple(image.shape[-2:])
    for name, plane in (("mask", mask), ("depth image", depth)):
        if plane is not None and tuple(plane.shape) != size:
            got, want = (" x ".join(map(str, shape)) for shape in (plane.shape, size))
            mend = f"give a {name} that is registered to the image"
            raise DataError(f"the {name} is {got} (height x width), the image {want}", mend=mend)


def _check_metres(depth: Tensor, mask: Tensor | None) -> None:
    """DataError for depth, on the mask if there is one, that is too near or too far to be metres."""
    here = known(depth) if mask is None else known(depth) & mask
    if bool(here.any()):
        metres = depth[here].detach().cpu().numpy()
        check_depth(metres, "depth", masked=mask is not None, mend=_in_metres)


def _in_metres(factor: float) -> str:
    return f"give metres: {factor:.6g} times these values"


def _allowed(mask: Tensor | None, depth: Tensor | None, working: Size) -> Bool[Tensor, "h w"] | None:
    """Where a keypoint may be, at the working size: on the mask and where depth is known. None: anywhere.

    A pixel counts if more than half as much of it is allowed as in the mean of those with anything allowed: something
    remains of a mask that is thinner than a pixel, and of sparse depth.
    """
    here = [part for part in (mask, None if depth is None else known(depth)) if part is not None]
    if not here:
        return None
    both = here[0] if len(here) == 1 else here[0] & here[1]
    share = resized(both.float().expand(3, -1, -1), working)[0]
    return share > share[share > 0].mean() / 2


def _nowhere(number: int) -> SeenKeypoints:
    nan = torch.full((number, 3), torch.nan)
    return SeenKeypoints(nan[:, :2], nan[:, 2], torch.zeros(number))


def _restricted(maps: KeypointMaps, allowed: Bool[Tensor, "h w"] | None) -> KeypointMaps:
    """Probability nowhere else."""
    if allowed is None:
        return maps
    logits = maps.logits.masked_fill(~allowed.to(maps.logits.device), -torch.inf)
    return KeypointMaps(logits, maps.depth, maps.cells, maps.image_size, maps.focal)


def _triangulated(
    views: Sequence[PosedView], seen: Sequence[SeenKeypoints], sizes: Sequence[tuple[Size, Size]]
) -> ObjectKeypoints:
    """Where the lines of sight of a keypoint meet, by certainty; views that do not agree are left out, twice.

    `sizes`: each image's own and its working size. All pixels here are those of the working size.
    """
    uv = torch.stack([resize_pixels(s.uv, *size) for s, size in zip(seen, sizes, strict=True)])
    cameras = torch.stack(
        [resize_intrinsics(v.intrinsics.float(), *size) for v, size in zip(views, sizes, strict=True)]
    )
    poses = torch.stack([v.camera_from_object.float() for v in views])
    certainty = torch.stack([s.certainty for s in seen])
    agreeing = torch.ones_like(certainty)
    xyz = triangulate_pixels(uv, cameras, invert(poses), certainty)
    for _ in range(2):
        projected, z = project(cameras, transform(poses, xyz))
        error = (projected - uv).norm(dim=-1)
        limit = torch.maximum(error.nanmedian(0).values * 1.5, torch.tensor(AGREES_PX))
        agreeing = ((error <= limit) & (z > 0)).float()
        xyz = triangulate_pixels(uv, cameras, invert(poses), certainty * agreeing)
    projected, _ = project(cameras, transform(poses, xyz))
    error = (projected - uv).norm(dim=-1)
    spread = (error * agreeing).sum(0) / agreeing.sum(0).clamp_min(1)
    enough = (agreeing.sum(0) >= max(2, len(views) // 4)) & xyz.isfinite().all(-1)
    weight = torch.where(enough, 1 / (1 + spread), torch.zeros_like(spread))
    return ObjectKeypoints(torch.nan_to_num(xyz), weight, behind=_behind(views, seen, xyz, agreeing > 0))


def _behind(
    views: Sequence[PosedView], seen: Sequence[SeenKeypoints], xyz: Tensor, agreeing: Bool[Tensor, "v n"]
) -> Float[Tensor, " n"]:
    """The median over the agreeing views of how much deeper the keypoints are than what is seen; 0 without depth."""
    deeper = torch.full_like(agreeing, torch.nan, dtype=xyz.dtype)
    for k, (view, found) in enumerate(zip(views, seen, strict=True)):
        if view.depth is not None:
            surface = depth_at(view.depth.float(), found.uv, radius=NEAR_HOLE)
            deeper[k] = transform(view.camera_from_object.float(), xyz)[:, 2] - surface
    return torch.where(agreeing, deeper, torch.nan).nanmedian(0).values.nan_to_num()


def _lifted(views: Sequence[PosedView], seen: Sequence[SeenKeypoints]) -> ObjectKeypoints:
    """Where depth puts them, the mean over the views that know it."""
    total, counted = torch.zeros(len(seen[0].uv), 3), torch.zeros(len(seen[0].uv))
    for view, found in zip(views, seen, strict=True):
        if view.depth is not None:
            _check_metres(view.depth, view.mask)
        z = found.depth if view.depth is None else depth_at(view.depth, found.uv, radius=NEAR_HOLE)
        xyz = transform(
            invert(view.camera_from_object.float()), unproject(view.intrinsics.float(), found.uv, z)
        )
        usable = xyz.isfinite().all(-1)
        total += torch.where(usable[:, None], xyz, 0.0)
        counted += usable
    return ObjectKeypoints(total / counted.clamp_min(1)[:, None], (counted > 0).float())
