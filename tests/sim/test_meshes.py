"""Users' 3-D models: the right way up, in their own colours, one clear line for what cannot be used."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from samepoint.cli.main import run
from samepoint.data.mesh import load_mesh
from samepoint.data.readers.bop import read_bop
from samepoint.errors import DataError, MissingDependencyError
from samepoint.sim import RenderSettings, render_dataset
from samepoint.sim.meshes import FileObject, find_meshes, objects, read_object, soup, welded
from samepoint.sim.pool import deal, make_instance, pool

trimesh = pytest.importorskip("trimesh", reason="needs the package trimesh")

RED, GREEN, BLUE, YELLOW = (200, 20, 20), (20, 160, 20), (20, 20, 200), (200, 200, 20)
GREY = (128, 128, 128)
SMALL = RenderSettings(
    scenes=3, views=2, size=(96, 128), workers=1, seed=4, distractors=(0, 0), close_ups=0.0
)

QUADRANTS = np.zeros((64, 64, 3), np.uint8)
"""Rows from the top: red, green / blue, yellow."""
QUADRANTS[:32, :32], QUADRANTS[:32, 32:], QUADRANTS[32:, :32], QUADRANTS[32:, 32:] = RED, GREEN, BLUE, YELLOW


def changed(**what: object) -> RenderSettings:
    return RenderSettings(**{**SMALL.__dict__, **what})  # type: ignore[arg-type]


def box(size: tuple[float, float, float] = (0.1, 0.06, 0.14)) -> trimesh.Trimesh:
    return trimesh.creation.box(size)


def screen() -> trimesh.Trimesh:
    """A block whose front (-y) shows the whole texture, upright and readable; the other sides show its middle."""
    w, d, h = 0.05, 0.02, 0.05
    front = np.array([[-w, -d, -h], [w, -d, -h], [w, -d, h], [-w, -d, h]])
    block = trimesh.creation.box((2 * w, 2 * d - 0.002, 2 * h))
    vertices = np.concatenate([front, block.vertices])
    faces = np.concatenate([[[0, 1, 2], [0, 2, 3]], block.faces + 4])
    uv = np.concatenate([[[0, 0], [1, 0], [1, 1], [0, 1]], np.full((len(block.vertices), 2), 0.5)])
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return with_texture(mesh, uv)


def with_texture(mesh: trimesh.Trimesh, uv: np.ndarray) -> trimesh.Trimesh:
    from PIL import Image

    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(QUADRANTS))
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return mesh


def save(mesh: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = trimesh.Scene(mesh) if path.suffix == ".glb" else mesh
    content = scene.export(
        file_type=path.suffix[1:], **({"mtl_name": f"{path.stem}.mtl"} if path.suffix == ".obj" else {})
    )  # type: ignore[attr-defined]
    if isinstance(content, tuple):
        content = content[0]
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    visual = getattr(mesh, "visual", None)
    if path.suffix == ".obj" and getattr(visual, "kind", None) == "texture":
        cv2.imwrite(str(path.with_suffix(".png")), QUADRANTS[..., ::-1])
        path.with_suffix(".mtl").write_text(f"newmtl m\nmap_Kd {path.stem}.png\n")
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("mtllib", "usemtl"))]
        path.write_text("\n".join([f"mtllib {path.stem}.mtl", "usemtl m", *lines, ""]))
    return path


def colour_at(found: FileObject, place: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The texture's colour at the point of the surface nearest to `place` that faces along `normal`."""
    model = found.model
    faces = model.faces
    corners = model.vertices[faces]
    facing = (model.normals[faces].mean(1) @ normal) > 0.9
    facing &= np.abs((corners.mean(1) - place) @ normal) < 0.0008
    weights = np.array([[a, b, 1 - a - b] for a in np.linspace(0, 1, 21) for b in np.linspace(0, 1 - a, 21)])
    points = np.einsum("wk,fkd->fwd", weights, corners[facing])
    uv = np.einsum("wk,fkd->fwd", weights, model.uv[faces][facing])
    flat = np.linalg.norm(points - place, axis=2).argmin()
    u, v = uv.reshape(-1, 2)[flat]
    h, w = found.texture.shape[:2]
    return found.texture[min(int(v * h), h - 1), min(int(u * w), w - 1)].astype(int)


FRONT = np.array([0.0, -1.0, 0.0])


@pytest.mark.parametrize("suffix", [".obj", ".glb"])
def test_convention_textures_are_neither_upside_down_nor_mirrored(suffix: str, tmp_path: Path) -> None:
    mesh = screen()
    if suffix == ".glb":  # y is up in glTF
        mesh.apply_transform([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    found = read_object(save(mesh, tmp_path / f"screen{suffix}"), 1.0, GREY)
    assert found.textured
    np.testing.assert_allclose(np.ptp(found.model.vertices, axis=0), (0.1, 0.04, 0.1), atol=2e-3)
    for x, z, colour in [
        (-0.025, 0.075, RED),
        (0.025, 0.075, GREEN),
        (-0.025, 0.025, BLUE),
        (0.025, 0.025, YELLOW),
    ]:
        assert np.abs(colour_at(found, np.array([x, -0.02, z]), FRONT) - colour).max() < 12


def test_convention_gltf_is_turned_to_z_up_and_the_others_are_not(tmp_path: Path) -> None:
    mesh = box((0.1, 0.3, 0.05))
    for suffix, size in ((".obj", (0.1, 0.3, 0.05)), (".ply", (0.1, 0.3, 0.05)), (".glb", (0.1, 0.05, 0.3))):
        model = read_object(save(mesh, tmp_path / f"a{suffix}"), 1.0, GREY).model
        np.testing.assert_allclose(np.ptp(model.vertices, axis=0), size, atol=1e-6)


def test_an_object_stands_at_the_origin_and_says_how_it_was_moved(tmp_path: Path) -> None:
    mesh = box()
    mesh.apply_translation((2.0, -1.0, 5.0))
    found = read_object(save(mesh, tmp_path / "far.ply"), 1.0, GREY)
    vertices = found.model.vertices
    np.testing.assert_allclose(
        [vertices.min(0), vertices.max(0)], [(-0.05, -0.03, 0), (0.05, 0.03, 0.14)], atol=1e-6
    )
    np.testing.assert_allclose(found.moved, (-2, 1, -4.93), atol=1e-6)
    coordinates = found.model.coordinates
    np.testing.assert_allclose(coordinates, (vertices - vertices.min(0)) / 0.14, atol=1e-5)
    assert found.model.keypoints == {}


def test_parts_are_placed_by_the_scene_and_mirrored_ones_still_face_outwards(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(
        box((0.1, 0.1, 0.1)), transform=trimesh.transformations.translation_matrix((0, 0.1, 0))
    )
    mirror = np.diag([-1.0, 1, 1, 1])
    mirror[:3, 3] = 0, -0.1, 0
    scene.add_geometry(box((0.1, 0.1, 0.1)), transform=mirror)
    path = tmp_path / "two.glb"
    path.write_bytes(scene.export(file_type="glb"))
    found = read_object(path, 1.0, GREY)
    np.testing.assert_allclose(np.ptp(found.model.vertices, axis=0), (0.1, 0.1, 0.3), atol=1e-6)
    assert soup.volume(found.model.vertices[found.model.faces]) == pytest.approx(0.002, rel=1e-4)


def test_colours_of_materials_faces_and_vertices(tmp_path: Path) -> None:
    two = "".join(f"v {x} {y} {z}\n" for x in (0, 0.1) for y in (0, 0.1) for z in (0, 0.1))
    (tmp_path / "two.mtl").write_text("newmtl a\nKd 1 0 0\nnewmtl b\nKd 0 0 1\n")
    (tmp_path / "two.obj").write_text(
        "mtllib two.mtl\n" + two + "usemtl a\nf 1 2 4\nf 1 4 3\nusemtl b\nf 5 8 6\nf 5 7 8\n"
    )
    found = read_object(tmp_path / "two.obj", 1.0, GREY)
    assert not found.textured
    left, right = (
        colour_at(found, np.array([x, 0, 0.05]), np.array([np.sign(x), 0, 0])) for x in (-0.05, 0.05)
    )
    assert np.abs(left - (255, 0, 0)).max() < 5
    assert np.abs(right - (0, 0, 255)).max() < 5

    for kind in ("face", "vertex"):
        mesh = box((0.1, 0.1, 0.1))
        where = mesh.triangles_center if kind == "face" else mesh.vertices
        setattr(
            mesh.visual,
            f"{kind}_colors",
            np.where(where[:, :1] > 0, [[*RED, 255]], [[*BLUE, 255]]).astype(np.uint8),
        )
        found = read_object(save(mesh, tmp_path / f"{kind}.ply"), 1.0, GREY)
        assert found.textured
        for x, colour in ((-0.05, BLUE), (0.05, RED)):
            seen = colour_at(found, np.array([x, 0, 0.05]), np.array([np.sign(x), 0, 0]))
            assert np.abs(seen - colour).max() < 5, kind


def test_several_textures_become_one(tmp_path: Path) -> None:
    """One part with a texture, one with a plain material: each keeps its colours in the common picture."""
    scene = trimesh.Scene()
    tall = box((0.1, 0.1, 0.1))
    scene.add_geometry(with_texture(tall, np.tile([[0.25, 0.75]], (len(tall.vertices), 1))))
    plain = box((0.1, 0.1, 0.1))
    plain.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(baseColorFactor=[0, 0, 255, 255]), uv=np.zeros((8, 2))
    )
    scene.add_geometry(plain, transform=trimesh.transformations.translation_matrix((0.3, 0, 0)))
    path = tmp_path / "both.glb"
    path.write_bytes(scene.export(file_type="glb"))
    found = read_object(path, 1.0, GREY)
    assert np.abs(colour_at(found, np.array([-0.15, -0.05, 0.05]), FRONT) - RED).max() < 12
    assert np.abs(colour_at(found, np.array([0.15, -0.05, 0.05]), FRONT) - (0, 0, 255)).max() < 12


def test_a_texture_that_is_repeated_stays_so(tmp_path: Path) -> None:
    mesh = screen()
    mesh.visual.uv[:4] *= 2  # the picture is shown twice across and twice up
    found = read_object(save(mesh, tmp_path / "tiles.obj"), 1.0, GREY)
    for x, z, colour in [
        (-0.0375, 0.0875, RED),
        (0.0125, 0.0875, RED),
        (-0.0375, 0.0375, RED),
        (0.0375, 0.0625, YELLOW),
    ]:
        assert np.abs(colour_at(found, np.array([x, -0.02, z]), FRONT) - colour).max() < 12


def test_no_texture_gives_a_plain_colour_of_the_seed_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        save(box(), tmp_path / "plain" / f"{name}.ply")
    with caplog.at_level(logging.WARNING, logger="samepoint"):
        render_dataset(tmp_path / "out", changed(meshes=tmp_path / "plain"))
    assert [r.getMessage() for r in caplog.records] == [
        "2 of 2 meshes have no texture and get plain colours: a.ply, b.ply"
    ]

    def colours(seed: int) -> list[tuple[int, ...]]:
        settings = changed(meshes=tmp_path / "plain", seed=seed)
        return [tuple(make_instance(settings, slot).texture[0, 0]) for slot in pool(settings)]

    assert colours(4) == colours(4)
    assert len({*colours(4), *colours(5)}) == 4


@pytest.mark.parametrize("missing", ["mtl", "png"])
def test_a_missing_picture_is_a_mesh_without_texture(missing: str, tmp_path: Path) -> None:
    path = save(screen(), tmp_path / "screen.obj")
    path.with_suffix(f".{missing}").unlink()
    found = read_object(path, 1.0, GREY)
    assert not found.textured
    assert (found.texture == 128).all()


def truncated(make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return cut


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def ply(folder: Path) -> Path:
    return save(box(), folder / "broken.ply")


def glb(folder: Path) -> Path:
    return save(screen(), folder / "broken.glb")


def bad_picture(folder: Path) -> Path:
    path = save(screen(), folder / "broken.obj")
    picture = path.with_suffix(".png")
    picture.write_bytes(picture.read_bytes()[:60])
    return path


CORNERS = b"v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\n"
BROKEN = {
    "ply header": truncated(ply, 0.2), "ply body": truncated(ply, 0.9), "glb": truncated(glb, 0.5),
    "glb end": truncated(glb, 0.98), "picture": bad_picture,
    "obj line": written("broken.obj", CORNERS + b"f 1 2 3\nf 1 3"),
    "obj slash": written("broken.obj", CORNERS + b"vt 0 0\nf 1/1 2/1 3/1\nf 1/1 2/1 4/"),
    "obj vertices": written("broken.obj", CORNERS[:20]),
    "no such vertex": written("broken.obj", CORNERS + b"f 1 2 9\n"),
    "not finite": written("broken.obj", CORNERS + b"v nan 0 0\nf 1 2 3\nf 1 2 4\nf 1 2 5\n"),
    "empty obj": written("broken.obj", b""), "empty ply": written("broken.ply", b""),
    "empty glb": written("broken.glb", b""), "noise obj": written("broken.obj", bytes(range(256)) * 4),
    "noise ply": written("broken.ply", bytes(range(256)) * 4),
    "noise glb": written("broken.glb", bytes(range(256)) * 4),
    "flat": written("broken.obj", CORNERS + b"f 1 2 3\n"),
}  # fmt: skip


@pytest.mark.parametrize("make", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_is_named_in_one_line(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = tmp_path / "meshes"
    folder.mkdir()
    path = make(folder)
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: .*\Z") as raised:  # . is no newline
        render_dataset(tmp_path / "out", changed(meshes=folder))
    assert raised.value.mend
    assert [p.name for p in tmp_path.iterdir()] == ["meshes"]


@pytest.mark.parametrize(
    ("unit", "shown", "scale"), [(1000.0, "100 x 60 x 140 m", 0.001), (0.001, "0.00014 m", 1000.0)]
)
def test_a_wrong_unit_is_refused_with_the_scale_that_mends_it(
    unit: float, shown: str, scale: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(box((0.1 * unit, 0.06 * unit, 0.14 * unit)), tmp_path / "meshes" / "box.ply")
    command = ["data", "render", "--out", str(tmp_path / "out"), "--meshes", str(path.parent)]
    assert run(command) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"samepoint: {path}: ")
    assert "\n" not in line
    assert shown in line
    assert line.endswith(f"--mesh-scale {scale:g}")
    model = read_object(path, scale, GREY).model
    np.testing.assert_allclose(np.ptp(model.vertices, axis=0), (0.1, 0.06, 0.14), rtol=1e-5)


def test_too_many_triangles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(box(), tmp_path / "box.ply")
    monkeypatch.setattr(objects, "MOST_FACES", 11)
    with pytest.raises(DataError, match=r"box\.ply: has 12 triangles.*simplify it to fewer than 11"):
        read_object(path, 1.0, GREY)


def test_which_files_a_folder_holds(tmp_path: Path) -> None:
    for name in ("b/model.obj", "a/x.PLY", "c.glb", "a/notes.txt", "b/model.mtl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = [p.relative_to(tmp_path).as_posix() for p in find_meshes(tmp_path)]
    assert names == ["a/x.PLY", "b/model.obj", "c.glb"]
    assert find_meshes(tmp_path / "c.glb") == (tmp_path / "c.glb",)
    with pytest.raises(DataError, match=r"gone: does not exist.*\.obj, \.ply, \.glb"):
        find_meshes(tmp_path / "gone")
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match="d: holds no meshes"):
        find_meshes(tmp_path / "d")


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_stl(kind: str, tmp_path: Path) -> None:
    content = box().export(file_type=kind)
    path = tmp_path / "part.STL"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert find_meshes(tmp_path) == (path,)
    found = read_object(path, 1.0, GREY)
    assert len(found.model.faces) == 12
    assert np.ptp(found.model.vertices, axis=0) == pytest.approx([0.1, 0.06, 0.14])
    assert not found.two_sided
    whole = path.read_bytes()
    for part in (whole[:-20], whole[: len(whole) // 2], whole[:60], b""):
        path.write_bytes(part)
        with pytest.raises(DataError, match=r"part\.STL: is (cut off, or no STL file|empty)"):
            read_object(path, 1.0, GREY)


def test_binary_stl_whose_header_begins_with_solid(tmp_path: Path) -> None:
    content = bytearray(box().export(file_type="stl"))
    content[:80] = b"solid made by a CAD program".ljust(80)
    (tmp_path / "part.stl").write_bytes(content)
    assert len(read_object(tmp_path / "part.stl", 1.0, GREY).model.faces) == 12


def test_models_of_other_kinds_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.step", "b.FBX"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"holds no meshes; export a\.step, b\.FBX as \.obj"):
        find_meshes(tmp_path)
    save(box(), tmp_path / "c.ply")
    assert [path.name for path in find_meshes(tmp_path)] == ["c.ply"]
    assert "2 models of other kinds are not used (a.step, b.FBX)" in caplog.text


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(box(), tmp_path / "meshes" / "box.ply")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingDependencyError, match=r'trimesh; pip install "samepoint\[meshes\]"'):
        render_dataset(tmp_path / "out", changed(meshes=tmp_path / "meshes"))


def test_corner_normals_against_a_slow_twin() -> None:
    """Each corner: the mean of the faces around its vertex, by angle, unless its own face leans away too far."""
    mesh = trimesh.creation.cylinder(0.03, 0.1, sections=24)
    corners = mesh.vertices[mesh.faces]
    _, faces = soup.weld(corners)
    normals = soup.corner_normals(corners, faces)
    flat = [np.cross(b - a, c - a) / np.linalg.norm(np.cross(b - a, c - a)) for a, b, c in corners]
    for f in range(len(faces)):
        for k in range(3):
            total = np.zeros(3)
            for g in range(len(faces)):
                for j in range(3):
                    if faces[g, j] == faces[f, k]:
                        p, q = (corners[g, (j + step) % 3] - corners[g, j] for step in (1, 2))
                        total += np.arccos(p @ q / np.linalg.norm(p) / np.linalg.norm(q)) * flat[g]
            total /= np.linalg.norm(total)
            expected = total if total @ flat[f] > np.cos(np.deg2rad(40)) else flat[f]
            np.testing.assert_allclose(normals[f, k], expected, atol=1e-9)


def test_a_box_has_sharp_edges_and_a_ball_none() -> None:
    for mesh, smooth in ((box((0.1, 0.1, 0.1)), False), (trimesh.creation.icosphere(3, 0.05), True)):
        corners = mesh.vertices[mesh.faces]
        _, faces = soup.weld(corners)
        normals = soup.corner_normals(corners, faces)
        if smooth:
            np.testing.assert_allclose(normals, corners / 0.05, atol=0.02)
        else:
            assert (np.abs(normals).max(-1) > 1 - 1e-9).all()


def test_joining_corners_loses_nothing(tmp_path: Path) -> None:
    mesh = screen()
    found = read_object(save(mesh, tmp_path / "screen.obj"), 1.0, GREY)
    model = found.model
    vertices, faces, coordinates = welded(model)
    np.testing.assert_allclose(vertices[faces], model.vertices[model.faces])
    np.testing.assert_allclose(coordinates[faces], model.coordinates[model.faces], atol=1e-12)
    assert len(vertices) == 12 < len(model.vertices)
    assert len(np.unique(vertices, axis=0)) == len(vertices)


def test_closed_open_and_inside_out(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(2, 0.05)
    bowl = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 2] < 0.0], process=False)
    assert not read_object(save(ball, tmp_path / "ball.ply"), 1.0, GREY).two_sided
    assert read_object(save(bowl, tmp_path / "bowl.ply"), 1.0, GREY).two_sided
    ball.faces = ball.faces[:, ::-1].copy()
    model = read_object(save(ball, tmp_path / "inside_out.ply"), 1.0, GREY).model
    assert soup.volume(model.vertices[model.faces]) == pytest.approx(4 / 3 * np.pi * 0.05**3, rel=0.05)
    assert ((model.vertices - (0, 0, 0.05)) * model.normals).sum(1).min() > 0.04


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("meshes")
    save(screen(), root / "sub" / "screen.obj")
    save(trimesh.creation.icosphere(3, 0.05), root / "ball.ply")
    save(box(), root / "box.glb")
    ball = trimesh.creation.icosphere(3, 0.06)
    save(
        trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 2] < 0.0], process=False),
        root / "bowl.ply",
    )
    return root


def test_a_folder_is_rendered(folder: Path, tmp_path: Path) -> None:
    settings = changed(meshes=folder, split_scenes=(4, 2, 2), objects_per_scene=(2, 3))
    dataset = read_bop(render_dataset(tmp_path / "out", settings))
    assert {r.split for r in dataset.recordings} == {"train", "validation", "test"}
    assert all(any(view.placements for view in recording.views()) for recording in dataset.recordings)
    assert all(model.family is None for model in dataset.objects.values())
    content = json.loads((tmp_path / "out" / "samepoint.json").read_text())["generator"]
    files = {1: "ball.ply", 2: "bowl.ply", 3: "box.glb", 4: "sub/screen.obj"}
    assert {int(k): v["file"] for k, v in content["mesh_files"].items()} == files
    assert str(folder) not in json.dumps(content)
    for object_id, model in dataset.objects.items():
        mesh = load_mesh(model)
        assert mesh.coordinates is not None
        expected = make_instance(settings, pool(settings)[object_id - 1]).model
        np.testing.assert_allclose(
            np.ptp(mesh.vertices.numpy(), axis=0), np.ptp(expected.vertices, axis=0), atol=1e-5
        )
        scale = float(np.ptp(expected.vertices, axis=0).max())
        low = mesh.vertices.min(0).values
        np.testing.assert_allclose(mesh.coordinates, (mesh.vertices - low) / scale, atol=1e-4)


def test_convention_vertices_of_a_mesh_project_to_its_mask_and_depth(folder: Path, tmp_path: Path) -> None:
    dataset = read_bop(
        render_dataset(tmp_path / "out", changed(meshes=folder, size=(240, 320), scenes=1, views=4))
    )
    inside, seen = 0, 0
    for view in dataset.views():
        assert view.depth is not None
        depth = cv2.imread(str(view.depth.path), cv2.IMREAD_UNCHANGED) * view.depth.metres_per_unit
        for placement in view.placements:
            assert placement.camera_from_object is not None and view.intrinsics is not None  # noqa: PT018
            xyz = load_mesh(dataset.objects[placement.object_id]).vertices.numpy()
            pose = placement.camera_from_object.numpy()
            xyz = xyz @ pose[:3, :3].T + pose[:3, 3]
            uv = xyz @ view.intrinsics.numpy().T
            uv = np.rint(uv[:, :2] / uv[:, 2:]).astype(int)
            ok = (uv >= 0).all(1) & (uv < (320, 240)).all(1)
            uv, z = uv[ok], xyz[ok, 2]
            mask = cv2.imread(str(placement.mask), cv2.IMREAD_UNCHANGED) > 0
            near = np.abs(z - depth[uv[:, 1], uv[:, 0]]) < 0.001
            inside, seen = inside + int(mask[uv[:, 1], uv[:, 0]][near].sum()), seen + int(near.sum())
    assert seen > 200
    assert inside / seen > 0.9


def test_an_open_bowl_is_seen_from_inside(tmp_path: Path, folder: Path) -> None:
    """From above, the middle of the bowl is as deep as its bottom, and the bowl's label covers it."""
    settings = changed(meshes=folder / "bowl.ply", scenes=1, mode="shuffle", max_yaw=90.0, size=(240, 320))
    dataset = read_bop(render_dataset(tmp_path / "out", settings))
    for view in dataset.views():
        (placement,) = view.placements
        mask = cv2.imread(str(placement.mask), cv2.IMREAD_UNCHANGED) > 0
        rows, columns = np.nonzero(mask)
        hull = cv2.convexHull(np.stack([columns, rows], 1).astype(np.int32))
        assert mask.sum() > 0.9 * cv2.contourArea(hull)


def test_the_same_bytes_whatever_the_workers(folder: Path, tmp_path: Path) -> None:
    roots = [
        render_dataset(tmp_path / str(workers), changed(meshes=folder, scenes=2, workers=workers))
        for workers in (1, 2)
    ]
    files = [
        {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
        for root in roots
    ]
    assert files[0] == files[1]


def test_every_split_shows_the_objects_of_training(tmp_path: Path) -> None:
    for k in range(30):
        (tmp_path / f"{k:02}.ply").write_bytes(b"")
    settings = changed(meshes=tmp_path, scenes=12)
    ids = [{slot.object_id for hand in deal(settings, split) for slot in hand} for split in range(3)]
    assert all(ids)
    assert ids[1] | ids[2] <= ids[0]
    assert all(len(set(hand)) == len(hand) >= 2 for split in range(3) for hand in deal(settings, split))
    assert len(ids[0]) < 30
    few = changed(meshes=tmp_path, split_scenes=(1, 6, 0))
    shown = set(deal(few, 0)[0])
    assert {slot for hand in deal(few, 1) for slot in hand} == shown
    assert deal(changed(meshes=tmp_path, split_scenes=(0, 0, 3)), 2)[0]
    assert len(pool(settings)) == 30


def test_a_large_object_has_a_large_room(tmp_path: Path) -> None:
    """An object of two metres is seen whole, on a table, with its depth."""
    save(box((1.0, 0.8, 2.0)), tmp_path / "meshes" / "wardrobe.ply")
    settings = changed(meshes=tmp_path / "meshes", scenes=1, views=4, size=(240, 320))
    for view in read_bop(render_dataset(tmp_path / "out", settings)).views():
        (placement,) = view.placements
        assert placement.camera_from_object is not None and view.depth is not None  # noqa: PT018
        depth = cv2.imread(str(view.depth.path), cv2.IMREAD_UNCHANGED) * view.depth.metres_per_unit
        mask = cv2.imread(str(placement.mask), cv2.IMREAD_UNCHANGED) > 0
        assert mask.mean() > 0.03
        centre = placement.camera_from_object.numpy() @ (0, 0, 1.0, 1)
        assert abs(np.median(depth[mask]) - centre[2]) < 1.3
        assert (depth[~mask] > 0).mean() > 0.3


def test_rendering_families_is_described_as_before(tmp_path: Path) -> None:
    render_dataset(tmp_path / "out", changed(families=("mug",), scenes=1, views=1))
    content = json.loads((tmp_path / "out" / "samepoint.json").read_text())["generator"]
    assert not {"renderer", "samples", "meshes", "mesh_scale", "mesh_files"} & set(content)


def test_real_meshes(realdata: Path, tmp_path: Path) -> None:
    """Three scanned household objects, one view: each in its own measured size, coloured and labelled."""
    folder = realdata / "meshes_household"
    settings = changed(
        meshes=folder, split_scenes=(1, 0, 0), views=1, objects_per_scene=(3, 3), size=(240, 320)
    )
    dataset = read_bop(render_dataset(tmp_path / "out", settings))
    sizes = {
        name: np.ptp(load_mesh(dataset.objects[k]).vertices.numpy(), axis=0)
        for k, name in enumerate(("conditioner", "correction_fluid", "doraemon_bowl"), start=1)
    }
    np.testing.assert_allclose(sizes["conditioner"], (0.066, 0.039, 0.162), atol=1e-3)
    np.testing.assert_allclose(sizes["doraemon_bowl"], (0.161, 0.121, 0.052), atol=1e-3)
    np.testing.assert_allclose(sizes["correction_fluid"], (0.027, 0.110, 0.019), atol=1e-3)
    (view,) = dataset.views()
    image = cv2.imread(str(view.image))
    assert len(view.placements) == 3
    for placement in view.placements:
        mask = cv2.imread(str(placement.mask), cv2.IMREAD_UNCHANGED) > 0
        if mask.sum() > 50:
            assert image[mask].std(0).max() > 5
