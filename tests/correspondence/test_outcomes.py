from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch

from samepoint.correspondence.outcomes import (
    OcclusionTest,
    PosedCamera,
    correspond_by_depth,
    correspond_by_object,
    correspond_by_warp,
    depth_at,
)
from samepoint.errors import DataError
from samepoint.geometry.cameras import rays
from samepoint.geometry.motions import exp, invert, transform
from samepoint.geometry.pixels import pixel_grid
from samepoint.types import Outcome

SIZE = (96, 128)
K = torch.tensor([[110.0, 0, 63.2], [0, 112.0, 47.9], [0, 0, 1]], dtype=torch.float64)
CENTRE, RADIUS, FLOOR = torch.tensor([0.02, -0.03, 0.55], dtype=torch.float64), 0.12, 0.8


def cast(world_from_camera, uv):
    """Depth along the axis of a sphere before a wall (z = FLOOR, world), at any pixels; exact."""
    origin, rotation = world_from_camera[:3, 3], world_from_camera[:3, :3]
    direction = rays(K, uv.reshape(-1, 2)) @ rotation.T
    wall = (FLOOR - origin[2]) / direction[:, 2]
    oc = origin - CENTRE
    a, b, c = (direction**2).sum(1), (direction * oc).sum(1), (oc @ oc) - RADIUS**2
    root = b * b - a * c
    ball = torch.where(root > 0, (-b - root.clamp_min(0).sqrt()) / a, torch.inf)
    ball = torch.where(ball > 0, ball, torch.inf)
    return torch.where(ball < wall, ball, wall).reshape(uv.shape[:-1])


def view(twist=(0.0,) * 6):
    pose = exp(torch.tensor(twist, dtype=torch.float64))
    return PosedCamera(K, pose, SIZE), cast(pose, pixel_grid(SIZE, dtype=torch.float64))


A, DEPTH_A = view()
B, DEPTH_B = view((0.18, -0.05, 0.02, 0.02, -0.25, 0.1))


def points(generator, n=2000):
    return torch.rand(n, 2, generator=generator, dtype=torch.float64) * torch.tensor([128.0, 96.0]) - 0.5


def truth(uv):
    """Whether B sees the point of A at uv, by casting B's ray through the exact projection."""
    xyz = transform(A.world_from_camera, rays(K, uv) * cast(A.world_from_camera, uv)[:, None])
    in_b = transform(invert(B.world_from_camera), xyz)
    uv_b = (in_b @ K.T)[:, :2] / in_b[:, 2:]
    seen = cast(B.world_from_camera, uv_b)
    return uv_b, (in_b[:, 2] - seen).abs() < 1e-6, seen


def test_agrees_with_ray_casting(generator):
    uv = points(generator)
    got = correspond_by_depth(uv, cast(A.world_from_camera, uv), A, B, DEPTH_B)
    uv_b, visible, _ = truth(uv)
    torch.testing.assert_close(got.uv_b, uv_b)
    inside = ((uv_b > -0.5) & (uv_b < torch.tensor([127.5, 95.5]))).all(1)
    assert torch.equal(got.outcome == Outcome.OUT_OF_FRAME, ~inside)
    # outcomes may differ only within a pixel and a half of the ball's outline or its shadow
    wrong = inside & (got.visible != visible)
    assert (got.outcome[inside & ~visible] == Outcome.OCCLUDED).float().mean() > 0.75
    shifts = torch.tensor([[du, dv] for du in (-1.5, 0, 1.5) for dv in (-1.5, 0, 1.5)], dtype=torch.float64)
    around = torch.stack([cast(B.world_from_camera, uv_b + shift) for shift in shifts])
    edge = (around.amax(0) - around.amin(0)) > 0.03
    assert not (wrong & ~edge).any()
    assert (visible & inside).float().mean() > 0.5
    assert (~visible & inside).sum() > 50


def test_swap_symmetry(generator):
    """Visible matches mapped back land where they started, with depth read from B's image."""
    uv = points(generator)
    there = correspond_by_depth(uv, depth_at(DEPTH_A, uv, edge=0.03), A, B, DEPTH_B)
    start, arrived = uv[there.visible], there.uv_b[there.visible]
    exact = correspond_by_depth(arrived, there.depth_b[there.visible], B, A, DEPTH_A)
    torch.testing.assert_close(exact.uv_b, start)
    assert exact.visible.float().mean() > 0.99
    read = correspond_by_depth(arrived, depth_at(DEPTH_B, arrived, edge=0.03), B, A, DEPTH_A)
    error = (read.uv_b - start).norm(dim=-1)
    around = torch.stack(
        [
            cast(B.world_from_camera, arrived + torch.tensor(s))
            for s in ((-1.5, 0), (1.5, 0), (0, 1.5), (0, -1.5))
        ]
    )
    smooth = (around.amax(0) - around.amin(0)) < 0.01
    assert smooth.float().mean() > 0.8
    assert torch.quantile(error[smooth], 0.99) < 0.1


def test_two_sided(generator):
    """Predicted before the surface is as wrong as behind it: past an edge B sees the background."""
    uv = torch.tensor([[64.0, 48.0], [10.0, 10.0]], dtype=torch.float64)
    z = cast(A.world_from_camera, uv)
    for shift, expected in ((0.0, 0), (0.05, 1), (-0.05, 1), (0.005, 0), (-0.005, 0)):
        got = correspond_by_depth(uv, z + shift, A, A, DEPTH_A)
        assert got.outcome.tolist() == [expected] * 2


def test_margin_follows_depth_and_slope():
    cameras = PosedCamera(K, torch.eye(4, dtype=torch.float64), SIZE)
    uv = torch.tensor([[60.0, 40.0]], dtype=torch.float64)
    for depth, error, visible in ((0.3, 0.009, False), (3.0, 0.009, True), (3.0, 0.05, False)):
        image = torch.full(SIZE, depth, dtype=torch.float64)
        got = correspond_by_depth(uv, torch.tensor([depth + error]).double(), cameras, cameras, image)
        assert got.visible.tolist() == [visible]
    steep = 0.5 + 0.02 * pixel_grid(SIZE, dtype=torch.float64)[..., 0] / 1.0
    flat = OcclusionTest(steepest=0.0, relative=0.0)
    halfway = torch.tensor([[20.5, 40.0]], dtype=torch.float64)
    z = torch.tensor([0.5 + 0.02 * 20.5], dtype=torch.float64)
    assert correspond_by_depth(halfway, z, cameras, cameras, steep, flat).outcome.tolist() == [
        Outcome.OCCLUDED
    ]
    assert correspond_by_depth(halfway, z, cameras, cameras, steep, OcclusionTest(relative=0.0)).visible.all()


def test_between_two_surfaces_is_not_visible():
    image = torch.full(SIZE, 1.0, dtype=torch.float64)
    image[:, :64] = 0.5
    cameras = PosedCamera(K, torch.eye(4, dtype=torch.float64), SIZE)
    uv = torch.tensor([[63.6, 40.0]] * 3, dtype=torch.float64)
    got = correspond_by_depth(uv, torch.tensor([0.5, 0.75, 1.0]).double(), cameras, cameras, image)
    assert got.outcome.tolist() == [0, 1, 0]


def test_outcomes_are_told_apart():
    identity = torch.eye(4, dtype=torch.float64)
    back = torch.diag(torch.tensor([-1.0, 1, -1, 1], dtype=torch.float64))
    a, b = PosedCamera(K, identity, SIZE), PosedCamera(K, back, SIZE)
    image = torch.ones(SIZE, dtype=torch.float64)
    image[20:30, 20:30] = 0
    image[50:60, 50:60] = torch.nan
    uv = torch.tensor([[0.0, 0.0], [25.0, 25.0], [55.0, 55.0], [-0.6, 3.0], [5.0, 5.0], [6.0, 6.0]]).double()
    z = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, math.nan]).double()
    got = correspond_by_depth(uv, z, a, a, image)
    visible, occluded, outside, unknown = Outcome
    assert got.outcome.tolist() == [visible, unknown, unknown, outside, unknown, unknown]
    assert occluded == Outcome.OCCLUDED
    assert got.depth_b.isnan().tolist() == [False] * 4 + [True] * 2
    behind = correspond_by_depth(uv[:1], z[:1], a, b, image)
    assert behind.outcome.tolist() == [outside]
    assert behind.uv_b.isnan().all()


def test_zero_is_a_pixel_like_any_other():
    identity = PosedCamera(K, torch.eye(4, dtype=torch.float64), SIZE)
    edge = torch.tensor([[0.0, 0.0], [0.0, 40.0], [50.0, 0.0], [127.0, 95.0]], dtype=torch.float64)
    got = correspond_by_depth(edge, depth_at(DEPTH_A, edge), identity, identity, DEPTH_A)
    assert got.visible.all()
    torch.testing.assert_close(got.uv_b, edge)
    assert correspond_by_warp(edge, torch.eye(3, dtype=torch.float64), SIZE).visible.all()


def test_same_instance_in_another_scene(generator):
    """The ball moves to another place: matches by object poses are those of the moved frame."""
    uv = points(generator, 400)
    uv = uv[cast(A.world_from_camera, uv) < 0.6]
    move = exp(torch.tensor([0.05, 0.02, 0.1, 0.3, -0.2, 0.4], dtype=torch.float64))
    got = correspond_by_object(
        uv, cast(A.world_from_camera, uv), K, torch.eye(4).double(), K, invert(B.world_from_camera), DEPTH_B
    )
    same = correspond_by_depth(uv, cast(A.world_from_camera, uv), A, B, DEPTH_B)
    assert torch.equal(got.outcome, same.outcome)
    torch.testing.assert_close(got.uv_b, same.uv_b)
    mapped = correspond_by_object(
        uv,
        cast(A.world_from_camera, uv),
        K,
        torch.eye(4).double(),
        K,
        invert(B.world_from_camera) @ invert(move),
        DEPTH_B,
        lambda p: transform(move, p),
    )
    torch.testing.assert_close(mapped.uv_b, same.uv_b)
    none = correspond_by_object(
        uv,
        cast(A.world_from_camera, uv),
        K,
        torch.eye(4).double(),
        K,
        move,
        DEPTH_B,
        lambda p: torch.full_like(p, torch.nan),
    )
    assert (none.outcome == Outcome.NO_DEPTH).all()


def test_warps():
    shift = torch.tensor([[1.0, 0, 10.25], [0, 1, 0], [0, 0, 1]])
    got = correspond_by_warp(torch.tensor([[0.0, 0.0], [90.0, 3.0]]), shift, (50, 100))
    assert got.outcome.tolist() == [Outcome.VISIBLE, Outcome.OUT_OF_FRAME]
    assert got.uv_b[0].tolist() == [10.25, 0.0]
    assert got.depth_b.isnan().all()


def test_batches_agree_with_single_images_and_gradients_flow(generator):
    uv = torch.stack((points(generator, 20), points(generator, 20))).requires_grad_()
    z = torch.stack([cast(A.world_from_camera, one.detach()) for one in uv]).requires_grad_()
    pose = torch.stack((A.world_from_camera, B.world_from_camera))
    k, both = K.expand(2, 3, 3), torch.stack((DEPTH_A, DEPTH_B))
    got = correspond_by_depth(
        uv, z, PosedCamera(k, pose[:1].expand(2, 4, 4), SIZE), PosedCamera(k, pose, SIZE), both
    )
    for i, camera in enumerate((A, B)):
        one = correspond_by_depth(uv[i], z[i], A, camera, both[i])
        torch.testing.assert_close(got.uv_b[i], one.uv_b)
        assert torch.equal(got.outcome[i], one.outcome)
    gradients = torch.autograd.grad(got.uv_b.sum(), (uv, z))
    assert all(g.isfinite().all() and g.abs().sum() > 0 for g in gradients)
    nothing = correspond_by_depth(uv[0, :0].detach(), z[0, :0].detach(), A, B, DEPTH_B)
    assert (nothing.uv_b.shape, nothing.outcome.shape) == ((0, 2), (0,))
    with pytest.raises(DataError, match="resize"):
        correspond_by_depth(uv[0], z[0], A, B, DEPTH_B[:50])


def test_half_precision_is_right_to_a_few_of_its_digits(generator):
    """Half floats are 1/16 of a pixel apart from 64 to 128."""

    def half(camera):
        return PosedCamera(camera.intrinsics.half(), camera.world_from_camera.half(), SIZE)

    uv = points(generator, 50)
    z = cast(A.world_from_camera, uv)
    got = correspond_by_depth(uv.half(), z.half(), half(A), half(B), DEPTH_B.half())
    exact = correspond_by_depth(uv, z, A, B, DEPTH_B)
    assert got.uv_b.dtype == torch.float16
    assert (got.uv_b.double() - exact.uv_b).abs().max() < 3 / 16
    assert (got.outcome == exact.outcome).float().mean() > 0.95


def test_depth_is_not_blended_over_edges():
    depth = torch.tensor([[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 0.0], [1.0, math.nan, 2.0, 2.0]])
    uv = torch.tensor(
        [[1.4, 0.0], [1.6, 0.2], [0.3, 0.3], [3.0, 1.0], [3.2, 1.4], [1.0, 2.0], [0.0, 0.0], [9.0, 9.0]]
    )
    got = depth_at(depth, uv)
    expected = torch.tensor([1.0, 2.0, 1.0, math.nan, math.nan, math.nan, 1.0, 2.0])
    torch.testing.assert_close(got, expected, equal_nan=True)
    assert depth_at(depth, uv[3:4], radius=1).tolist() == [2.0]
    assert depth_at(torch.zeros(3, 4), uv, radius=1).isnan().all()
    assert depth_at(depth, uv[:0]).shape == (0,)


def test_depth_is_exact_on_planes(generator):
    normal = torch.tensor([0.4, -0.3, 1.0], dtype=torch.float64)
    directions = rays(K, pixel_grid(SIZE, dtype=torch.float64).reshape(-1, 2))
    plane = (0.9 / (directions @ normal)).reshape(SIZE)
    uv = points(generator, 300).clamp_min(0).minimum(torch.tensor([127.0, 95.0]))
    torch.testing.assert_close(depth_at(plane, uv), 0.9 / (rays(K, uv) @ normal))


# Real recordings -------------------------------------------------------------------------------------------


def read_depth(path):
    return torch.from_numpy(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32)) * 1e-3


def test_real_recording_with_holes(realdata, generator):
    """amazon box: of the pixels that reproject into view onto known depth, > 60 % agree within 2 %."""
    root = realdata / "rgbd_amazon_box"
    meta = json.loads((root / "intrinsics.json").read_text())
    k = torch.tensor([[meta["fx"], 0, meta["cx"]], [0, meta["fy"], meta["cy"]], [0, 0, 1]])
    names = sorted(path.stem for path in (root / "depth").glob("*.png"))
    kept = torch.zeros(4)
    agree, total = 0, 0
    for i, j in torch.randint(len(names), (12, 2), generator=generator).tolist():
        (a, depth_a), (b, depth_b) = (
            (
                PosedCamera(
                    k, torch.from_numpy(np.loadtxt(root / "pose" / f"{names[n]}.txt")).float(), (480, 640)
                ),
                read_depth(root / "depth" / f"{names[n]}.png"),
            )
            for n in (i, j)
        )
        uv = (depth_a > 0).nonzero().flip(-1).float()
        uv = uv[torch.randint(len(uv), (1000,), generator=generator)]
        got = correspond_by_depth(uv, depth_at(depth_a, uv), a, b, depth_b)
        kept += torch.bincount(got.outcome, minlength=4)
        near = depth_at(depth_b, torch.nan_to_num(got.uv_b), radius=1)
        known = near.isfinite() & (got.outcome < Outcome.OUT_OF_FRAME)
        agree += int(((near - got.depth_b).abs() <= 0.02 * got.depth_b)[known].sum())
        total += int(known.sum())
    shares = dict(zip(Outcome.__members__, (kept / kept.sum()).tolist()))
    print(f"amazon box: {agree / total:.3f} of {total} agree within 2 %; {shares}")
    assert agree / total > 0.6
    assert kept[Outcome.VISIBLE] / kept[: Outcome.OUT_OF_FRAME].sum() > 0.6
    assert kept[Outcome.NO_DEPTH] > 0


def test_real_depth_noise(realdata):
    """don_frame: the mesh's depth against the sensor's. A fixed one-sided 3 mm loses 45 % of the object."""
    root = realdata / "don_frame"
    sensor, mesh = (
        read_depth(root / "images/000000_depth.png"),
        read_depth(root / "rendered_images/000000_depth_cropped.png"),
    )
    mask = torch.from_numpy(cv2.imread(str(root / "image_masks/000000_mask.png"), cv2.IMREAD_GRAYSCALE)) > 0
    uv = (mask & (mesh > 0)).nonzero().flip(-1).float()
    k = torch.tensor([[533.64, 0, 319.41], [0, 534.78, 236.44], [0, 0, 1]])
    camera = PosedCamera(k, torch.eye(4), (480, 640))
    z = depth_at(mesh, uv)
    got = correspond_by_depth(uv, z, camera, camera, sensor)
    known = sensor[mask & (mesh > 0)] > 0
    one_sided = (sensor[mask & (mesh > 0)] > z - 0.003)[known].float().mean()
    shifted = {
        shift: float(correspond_by_depth(uv, z + shift, camera, camera, sensor).visible.float().mean())
        for shift in (-0.05, 0.05)
    }
    print(
        f"don_frame: visible {got.visible.float().mean():.3f}, one-sided {one_sided:.3f}, shifted {shifted}"
    )
    assert got.visible.float().mean() > 0.87
    assert one_sided < 0.6
    assert max(shifted.values()) < 0.02
