"""Blender draws what MuJoCo measures: the same silhouettes to under a pixel, textures the right way round."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from samepoint.errors import MissingDependencyError
from samepoint.sim import RenderSettings, render_dataset
from samepoint.sim.blender import BlenderRenderer, load_bpy
from samepoint.sim.blender.shapes import shape_of
from samepoint.sim.cameras import look_at
from samepoint.sim.families import Model
from samepoint.sim.pool import Instance, Slot, make_instance, pool
from samepoint.sim.renderer import Renderer
from samepoint.sim.workers import graphics
from samepoint.sim.world import Thing, World, build_world

try:
    load_bpy()
except MissingDependencyError as error:
    pytest.skip(str(error), allow_module_level=True)

SIZE, FOVY = (72, 96), 0.8
SMALL = RenderSettings(
    families=("mug", "box"), split_scenes=(1, 0, 0), views=2, size=SIZE, samples=4, workers=1, seed=4
)


def changed(**what: object) -> RenderSettings:
    return RenderSettings(**{**SMALL.__dict__, **what})  # type: ignore[arg-type]


def screen() -> Instance:
    """An upright block whose front (-y) shows red, green / blue, yellow, seen from there."""
    grid = np.array(
        [[-1, -1, 1], [1, -1, 1], [1, -1, -1], [-1, -1, -1]], float
    )  # clockwise from the top left
    corners, uv, normals, faces = [], [], [], []
    for k in range(4):
        c, s = np.cos(k * np.pi / 2), np.sin(k * np.pi / 2)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        corners.append(grid @ turn.T)
        normals.append(np.tile([0, -1.0, 0], (4, 1)) @ turn.T)
        uv.append([[0, 0], [1, 0], [1, 1], [0, 1]] if k == 0 else np.full((4, 2), 0.5))
        faces += [[4 * k, 4 * k + 3, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 1]]
    for z in (1, -1):  # lid and bottom
        ring = np.array([[-1, -1, z], [1, -1, z], [1, 1, z], [-1, 1, z]], float)
        n = 4 * len(corners)
        faces += [[n, n + 1, n + 2][::z], [n, n + 2, n + 3][::z]]
        corners, normals, uv = [*corners, ring], [*normals, ring * (0, 0, 1)], [*uv, np.full((4, 2), 0.5)]
    vertices = np.concatenate(corners) * (0.06, 0.03, 0.06) + (0, 0, 0.06)
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32, :32], picture[:32, 32:], picture[32:, :32], picture[32:, 32:] = (
        (220, 10, 10), (10, 220, 10), (10, 10, 220), (220, 220, 10),
    )  # fmt: skip
    model = Model(
        vertices, np.concatenate(normals), np.concatenate(uv).astype(float), np.array(faces), vertices, {}
    )
    return Instance(Slot(1, 0, "box", 0), model, picture)


@dataclass
class Stage:
    world: World
    measured: Renderer
    blender: BlenderRenderer

    @property
    def thing(self) -> Thing:
        return self.world.things[0]

    def stand(self, yaw: float = 0.0) -> None:
        for k, thing in enumerate(self.world.things):
            pose = np.eye(4)
            pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
            pose[:3, 3] = (0.0, 0.0, 0.0) if k == 0 else (0.15 * k - 0.3, 0.12, 0.05)
            self.world.place(thing, pose)
        self.world.mujoco.mj_forward(self.world.model, self.world.data)


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    """Makes a world of the given objects with both renderers."""
    open_stages: list[Stage] = []

    def make(
        *instances: Instance, distractors: int = 0, size: tuple[int, int] = SIZE, seed: int = 0, **how: Any
    ) -> Stage:
        mujoco, context = graphics()
        world = build_world(
            mujoco, np.random.default_rng(0), instances, distractors, (2 * size[0], 2 * size[1])
        )
        measured = Renderer(mujoco, world.model, context, size)
        blender = BlenderRenderer(
            measured, world, np.random.default_rng(seed), size, **{"samples": 4, "threads": 1, **how}
        )
        open_stages.append(Stage(world, measured, blender))
        open_stages[-1].stand()
        return open_stages[-1]

    yield make
    for made in open_stages:
        made.blender.close()


def glow(stage: Stage, geoms: set[int]) -> None:
    """These geoms shine white and everything else is black: an image is then their silhouette."""
    bpy = load_bpy()
    for name, strength in (("white", 1.0), ("black", 0.0)):
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        nodes = material.node_tree.nodes
        nodes.clear()
        light, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
        light.inputs["Strength"].default_value = strength
        material.node_tree.links.new(light.outputs[0], out.inputs["Surface"])
    for geom, thing in stage.blender._objects.items():
        thing.data.materials[0] = bpy.data.materials["white" if geom in geoms else "black"]
    scene = bpy.context.scene
    scene.world = None
    for lamp in [thing for thing in bpy.data.objects if thing.type == "LIGHT"]:
        bpy.data.objects.remove(lamp)
    scene.cycles.use_denoising, scene.cycles.samples = False, 64
    scene.view_settings.view_transform = "Raw"


def shift_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By how many pixels (down, right) the edges in b lie off those in a, by least squares."""
    a, b = (cv2.GaussianBlur(x, (0, 0), 1.0) for x in (a, b))
    slopes = np.stack([slope.ravel() for slope in np.gradient(a)], axis=1)
    return -np.linalg.lstsq(slopes, (b - a).ravel(), rcond=None)[0]


VIEWS = [look_at(np.array(eye), np.array([0.02, 0.03, 0.05]), roll) for eye, roll in (
    ((0.1, -0.5, 0.3), 0.0), ((-0.4, 0.2, 0.4), 0.5), ((0.02, 0.02, 0.6), -0.3),
)]  # fmt: skip


@pytest.mark.parametrize("of", ["family", "distractors"])
def test_convention_silhouettes_agree_to_under_a_pixel(of: str, stage: Callable[..., Stage]) -> None:
    settings = changed(families=("mug",))
    made = stage(make_instance(settings, pool(settings)[0]), distractors=6, size=(144, 192))
    things = made.world.things[:1] if of == "family" else made.world.things[1:]
    geoms = {thing.geom for thing in things}
    glow(made, geoms)
    for pose in VIEWS:
        shot = made.blender.shoot(made.world.data, pose, FOVY)
        truth = np.isin(shot.geoms, list(geoms))
        cover = shot.image[..., 0] / 255.0
        seen = cover > 0.5
        assert truth.sum() > 200
        assert (truth & seen).sum() / (truth | seen).sum() > 0.97
        assert np.abs(shift_between(truth.astype(float), cover)).max() < 0.15


def test_the_measure_of_shifts_sees_half_a_pixel() -> None:
    image = cv2.GaussianBlur((np.indices((60, 80)).sum(0) % 30 < 15).astype(float), (0, 0), 2)
    moved = cv2.warpAffine(image, np.array([[1, 0, 0.5], [0, 1, 0]]), (80, 60))[5:-5, 5:-5]
    np.testing.assert_allclose(shift_between(image[5:-5, 5:-5], moved).sum(), 0.5, atol=0.05)


def test_depth_and_ids_are_those_of_mujoco(stage: Callable[..., Stage]) -> None:
    made = stage(screen(), distractors=1)
    for pose in VIEWS:
        drawn, truth = (r.shoot(made.world.data, pose, FOVY) for r in (made.blender, made.measured))
        np.testing.assert_array_equal(drawn.depth, truth.depth)
        np.testing.assert_array_equal(drawn.geoms, truth.geoms)
        assert drawn.image.shape == truth.image.shape


@pytest.mark.parametrize("renderer", ["mujoco", "blender"])
def test_convention_textures_are_neither_upside_down_nor_mirrored(
    renderer: str, stage: Callable[..., Stage]
) -> None:
    made = stage(screen(), samples=16)
    pose = look_at(np.array([0.0, -0.4, 0.06]), np.array([0.0, 0.0, 0.06]))
    drawn = (made.blender if renderer == "blender" else made.measured).shoot(made.world.data, pose, 0.5)
    mask = drawn.geoms == made.thing.geom
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    for down, right, colour in ((1, 1, (1, 0, 0)), (1, 3, (0, 1, 0)), (3, 1, (0, 0, 1)), (3, 3, (1, 1, 0))):
        v = rows[0] + (rows[-1] - rows[0]) * down // 4
        u = columns[0] + (columns[-1] - columns[0]) * right // 4
        seen = drawn.image[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).mean(0)
        assert ((seen > 0.55 * seen.max()) == np.array(colour, bool)).all(), (down, right, seen)


def test_things_move_between_shots(stage: Callable[..., Stage]) -> None:
    made = stage(screen())
    glow(made, {made.thing.geom})
    for yaw in (0.0, 0.7):
        made.stand(yaw)
        shot = made.blender.shoot(made.world.data, VIEWS[0], FOVY)
        truth, seen = shot.geoms == made.thing.geom, shot.image[..., 0] > 127
        assert (truth & seen).sum() / (truth | seen).sum() > 0.95


def test_light_and_materials_are_those_of_the_generator(stage: Callable[..., Stage]) -> None:
    one, same, other = (_shot_of(stage(screen(), seed=s, threads=t)) for s, t in ((0, 1), (0, 2), (1, 1)))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one.astype(int) - other).mean() > 3


def test_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    """Workers are spawned from a process that has Blender loaded, and draw with one thread each."""
    settings = changed(renderer="blender", split_scenes=(1, 0, 1), views=1)
    roots = [render_dataset(tmp_path / str(n), replace(settings, workers=n)) for n in (1, 2)]
    files = [{p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()} for root in roots]
    assert files[0] == files[1]


def _shot_of(made: Stage) -> np.ndarray:
    return made.blender.shoot(made.world.data, VIEWS[0], FOVY).image


def test_images_are_neither_black_nor_burnt(stage: Callable[..., Stage]) -> None:
    settings = changed(families=("mug",))
    instance = make_instance(settings, pool(settings)[0])
    for seed in range(2):
        image = _shot_of(stage(instance, seed=seed)) / 255
        assert 0.1 < image.mean() < 0.85
        assert (image.min(-1) > 0.99).mean() < 0.2


def test_a_data_set_differs_from_mujocos_in_its_images_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    ours, theirs = (render_dataset(tmp_path / name, changed(renderer=name)) for name in ("blender", "mujoco"))
    assert capfd.readouterr() == ("", "")
    files = [{p.relative_to(root) for p in root.rglob("*") if p.is_file()} for root in (ours, theirs)]
    assert files[0] == files[1]
    different = {p for p in files[0] if (ours / p).read_bytes() != (theirs / p).read_bytes()}
    assert {p.name for p in different} == {"samepoint.json", "000000.png", "000001.png"}
    assert {p.parent.name for p in different} == {"rgb", ""}
    for view in ("000000.png", "000001.png"):
        (ours_image, theirs_image) = (
            cv2.imread(str(next(root.glob(f"*/*/rgb/{view}")))) for root in (ours, theirs)
        )
        a, b = (cv2.GaussianBlur(i, (0, 0), 2).mean(2).ravel() for i in (ours_image, theirs_image))
        assert np.corrcoef(a, b)[0, 1] > 0.3  # the same scene in another light
    assert json.loads((ours / "samepoint.json").read_text())["generator"]["renderer"] == "blender"


def test_a_sheet_drawn_from_both_sides_is_one_in_blender(stage: Callable[..., Stage], tmp_path: Path) -> None:
    """MuJoCo draws the sides of an open surface as two; light would be caught between them."""
    trimesh = pytest.importorskip("trimesh", reason="needs the package trimesh")
    ball = trimesh.creation.icosphere(2, 0.06)
    bowl = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 2] < 0.0], process=False)
    (tmp_path / "bowl.ply").write_bytes(bowl.export(file_type="ply"))
    settings = changed(meshes=tmp_path)
    made = stage(make_instance(settings, pool(settings)[0]))
    model, geom = made.world.model, made.thing.geom
    shape = shape_of(made.world.mujoco, model, geom)
    assert model.mesh_facenum[model.geom_dataid[geom]] == 2 * len(bowl.faces)
    assert len(shape.faces) == len(bowl.faces)
    image = _shot_of(made)
    mask = made.measured.shoot(made.world.data, VIEWS[2], FOVY).geoms == geom
    assert mask.sum() > 50
    assert made.blender.shoot(made.world.data, VIEWS[2], FOVY).image[mask].mean() > 10
    assert image.mean() > 10


@pytest.mark.parametrize("kind", ["SPHERE", "ELLIPSOID", "CAPSULE", "CYLINDER", "BOX", "PLANE"])
def test_primitive_surfaces_have_their_size_and_face_outwards(kind: str) -> None:
    mujoco, _ = graphics()
    half = {
        "SPHERE": [0.3, 0.3, 0.3],
        "CAPSULE": [0.1, 0.1, 0.3],
        "CYLINDER": [0.1, 0.1, 0.2],
        "PLANE": [0.1, 0.2, 0.0],
    }
    spec = mujoco.MjSpec()
    size = {
        "SPHERE": [0.3, 0, 0],
        "CAPSULE": [0.1, 0.2, 0],
        "CYLINDER": [0.1, 0.2, 0],
        "PLANE": [0.1, 0.2, 0.1],
    }
    spec.worldbody.add_geom(
        type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind}"), size=size.get(kind, [0.1, 0.2, 0.3])
    )
    shape = shape_of(mujoco, spec.compile(), 0)
    np.testing.assert_allclose(np.abs(shape.vertices).max(0), half.get(kind, [0.1, 0.2, 0.3]), rtol=0.01)
    corners = shape.vertices[shape.faces]
    out = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((out * shape.normals.mean(1)).sum(1) > 0).all()
    if kind == "PLANE":
        assert (out[:, 2] > 0).all()
    else:
        volume = (corners[:, 0] * out).sum() / 6
        exact = {
            "SPHERE": 4 / 3 * np.pi * 0.027, "ELLIPSOID": 4 / 3 * np.pi * 0.006,
            "CAPSULE": np.pi * 0.01 * (0.4 + 4 / 30), "CYLINDER": np.pi * 0.01 * 0.4, "BOX": 8 * 0.006,
        }  # fmt: skip
        assert volume == pytest.approx(exact[kind], rel=0.02)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'bpy'", name="bpy"), r'bpy; pip install "samepoint\[blender\]"'),
        (ImportError("libXi.so.6: no such file"), r"libXi\.so\.6.*Debian packages libx11-6 .*libxi6"),
    ],
)  # fmt: skip
def test_a_missing_blender_says_what_to_install(
    error: ImportError, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(MissingDependencyError, match=message):
        render_dataset(tmp_path / "out", changed(renderer="blender"))
    assert list(tmp_path.iterdir()) == []
