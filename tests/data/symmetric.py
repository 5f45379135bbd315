"""Solids of one colour on a table, drawn exactly by casting rays: a prism with four equal sides, a cylinder that can
also stand on its head, and a box without a declared symmetry. Metres; object frames are not centred."""

from __future__ import annotations

import math
from dataclasses import dataclass

import roma
import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh, WrittenView
from samepoint.data.recording import Symmetry
from samepoint.geometry.motions import compose, invert, rigid

SIZE = (240, 320)
K = torch.tensor([[320.0, 0, 159.5], [0, 320.0, 119.5], [0, 0, 1]])
UP = torch.tensor([0.0, 0.0, 1.0])
COLOURS = ((0, 0, 0), (200, 60, 60), (60, 200, 60), (60, 60, 200))


def turn(axis, angle, about=(0.0, 0.0, 0.0)):
    """A turn by `angle` (radians) about the line through `about`."""
    rotation = roma.rotvec_to_rotmat(torch.tensor(axis, dtype=torch.float64) * angle)
    centre = torch.tensor(about, dtype=torch.float64)
    return rigid(rotation, centre - rotation @ centre).float()


@dataclass(frozen=True)
class Solid:
    """A box (half sizes) or a cylinder along z (radius, radius, half height) round `centre`."""

    half: tuple[float, float, float]
    centre: tuple[float, float, float]
    round: bool = False
    symmetry: Symmetry | None = None

    def cast(self, origin, direction):
        """How many times its direction (n x 3) each ray is long when it meets the solid; infinite if it does not."""
        o, half = origin - torch.tensor(self.centre), torch.tensor(self.half)
        near, far = (-half - o) / direction, (half - o) / direction
        enter, leave = torch.minimum(near, far), torch.maximum(near, far)
        if self.round:
            a, b = direction[:, :2].square().sum(-1), (o[:2] * direction[:, :2]).sum(-1)
            root = (b * b - a * (o[:2].square().sum() - half[0] ** 2)).sqrt()  # NaN beside the cylinder
            enter = torch.stack(((-b - root) / a, enter[:, 2]), -1)
            leave = torch.stack(((-b + root) / a, leave[:, 2]), -1)
        first, last = enter.amax(-1), leave.amin(-1)
        return torch.where((first <= last) & (first > 0), first, torch.inf)

    def mesh(self, segments=24):
        """Vertices and faces; the sides of the cylinder are flat pieces."""
        corners = segments if self.round else 4
        angle = (torch.arange(corners) + 0.5) * 2 * math.pi / corners
        scale = torch.tensor(self.half[:2]) * (1.0 if self.round else math.sqrt(2))
        rim = torch.stack((angle.cos(), angle.sin()), -1) * scale
        height = torch.full((corners, 1), self.half[2])
        rings = torch.cat((torch.cat((rim, -height), 1), torch.cat((rim, height), 1)))
        ends = torch.tensor([[0, 0, -self.half[2]], [0, 0, self.half[2]]])
        i, j = torch.arange(corners), (torch.arange(corners) + 1) % corners
        low, high = torch.full_like(i, 2 * corners), torch.full_like(i, 2 * corners + 1)
        faces = torch.cat(
            [
                torch.stack(corner, -1)
                for corner in (
                    (i, j, i + corners), (j, j + corners, i + corners), (j, i, low),
                    (i + corners, j + corners, high),
                )
            ]
        )  # fmt: skip
        return torch.cat((rings, ends)) + torch.tensor(self.centre), faces


PRISM_CENTRE = (0.02, -0.01, 0.03)
PRISM = Solid(
    (0.03, 0.03, 0.05), PRISM_CENTRE,
    symmetry=Symmetry(tuple(turn((0, 0, 1), k * math.pi / 2, PRISM_CENTRE) for k in (1, 2, 3))),
)  # fmt: skip
CYLINDER_CENTRE = (0.01, 0.0, 0.0)
CYLINDER = Solid(
    (0.03, 0.03, 0.04), CYLINDER_CENTRE, True,
    Symmetry((turn((1, 0, 0), math.pi, CYLINDER_CENTRE),), ((2 * UP, torch.tensor(CYLINDER_CENTRE)),)),
)  # fmt: skip
BOX = Solid((0.02, 0.03, 0.045), (0.0, 0.0, 0.0))
SOLIDS = (PRISM, CYLINDER, BOX)


def looking_at(eye, target=(0.0, 0.0, 0.04)):
    """world_from_camera with OpenCV's axes."""
    eye = torch.tensor(eye)
    forward = torch.nn.functional.normalize(torch.tensor(target) - eye, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, UP), dim=0)
    return rigid(torch.stack((right, torch.linalg.cross(forward, right), forward), 1), eye)


def arrangement(generator, solids=SOLIDS):
    """world_from_object of each solid: on the table, in a row, turned and moved a little at random."""
    poses = []
    for k, solid in enumerate(solids):
        angle, du, dv = torch.rand(3, generator=generator).tolist()
        place = torch.eye(4)
        place[:3, 3] = torch.tensor([0.11 * (k - 1) + 0.02 * du, 0.08 * (dv - 0.5), solid.half[2]])
        centre = torch.eye(4)
        centre[:3, 3] = -torch.tensor(solid.centre)
        poses.append(place @ turn((0, 0, 1), 2 * math.pi * angle) @ centre)
    return poses


def seen(world_from_camera, poses, uv, solids=SOLIDS):
    """The depth (metres, infinite for nothing) at pixels (n x 2), exactly, and the solid there: 1, 2 ... or 0."""
    direction = torch.cat((uv, torch.ones(len(uv), 1)), 1) @ torch.linalg.inv(K).T
    depths = [torch.full((len(uv),), torch.inf)]
    for solid, pose in zip(solids, poses):
        object_from_camera = compose(invert(pose), world_from_camera)
        depths.append(solid.cast(object_from_camera[:3, 3], direction @ object_from_camera[:3, :3].T))
    depth, index = torch.stack(depths).min(0)
    return depth, torch.where(depth.isfinite(), index, 0)


def view(world_from_camera, poses, solids=SOLIDS):
    """One image with everything known."""
    v, u = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    uv = torch.stack((u, v), -1).flatten(0, 1).float()
    depth, index = seen(world_from_camera, poses, uv, solids)
    image = torch.tensor(COLOURS, dtype=torch.uint8)[index].view(*SIZE, 3)
    placements = [(k + 1, invert(world_from_camera) @ pose) for k, pose in enumerate(poses)]
    depth = torch.where(depth.isfinite(), depth, 0.0).view(SIZE)
    labels = index.to(torch.uint8).view(SIZE)
    return WrittenView(
        "cam0", image.numpy(), K.numpy(), world_from_camera, depth.numpy(), labels.numpy(), placements
    )


def write_data(root, solids=SOLIDS, scenes=2, views=4):
    """Scans from all sides, each of a new arrangement, as BOP."""
    generator = torch.Generator().manual_seed(3)
    writer = BopWriter(root)
    for solid in solids:
        writer.add_object(ObjectMesh(None, *solid.mesh(), symmetry=solid.symmetry))
    for number in range(scenes):
        poses = arrangement(generator, solids)
        with writer.scene("train", number) as scene:
            for k in range(views):
                angle = 2 * math.pi * (k + 0.3 * number) / views
                eye = (0.45 * math.cos(angle), 0.45 * math.sin(angle), 0.3)
                scene.add_moment([view(looking_at(eye), poses, solids)])
    writer.close()
    return root


def surface_distance(solid, points):
    """Metres from the surface of the solid, exactly."""
    inner = (points - torch.tensor(solid.centre)).abs()
    half = torch.tensor(solid.half)
    if solid.round:
        inner = torch.stack((inner[:, :2].norm(dim=-1), inner[:, 2]), -1)
        half = half[1:]
    over = inner - half
    return (over.clamp(min=0).norm(dim=-1) + over.amax(-1).clamp(max=0)).abs()
