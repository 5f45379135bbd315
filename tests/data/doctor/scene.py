"""A scene of two textured boxes on a textured table, seen by ray casting in numpy, as a frames folder; and the
faults that can be planted in any frames folder."""

import json

import cv2
import numpy as np

from samepoint.data.decode import decode_view

SIZE = (120, 160)
FOCAL = 150.0
BOXES = (((-0.16, -0.10, 0.0), (-0.02, 0.06, 0.12)), ((0.05, -0.06, 0.0), (0.17, 0.12, 0.22)))


def noise(uv):
    """A texture with detail at several scales, in [0, 1], the same at the same place."""
    out = np.zeros(uv.shape[:-1])
    for k, cell in enumerate((0.11, 0.05, 0.022)):
        whole = np.floor(uv / cell).astype(np.int64)
        mixed = whole[..., 0] * 73856093 + whole[..., 1] * 19349663 + 83492791 * (k + 1)
        out += ((mixed * 2654435761 % 2**32) >> 16) / 65536 / (1.3**k)
    return out / 2.4


def look_at(eye, target, roll=0.0):
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    c, s = np.cos(roll), np.sin(roll)
    pose[:3, :3] = np.stack((c * right + s * down, c * down - s * right, forward), 1)
    pose[:3, 3] = eye
    return pose


def camera_poses(number=14):
    """A camera that goes round a quarter, up and down, and rolls a little."""
    poses = []
    for k in range(number):
        along = k / (number - 1)
        azimuth, elevation = -1.2 + 1.7 * along, 0.65 + 0.2 * np.sin(5 * along)
        away = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        poses.append(
            look_at(
                np.array([0, 0, 0.06]) + (0.62 + 0.1 * np.cos(7 * along)) * away,
                np.array([0.01 * k - 0.06, 0, 0.05]),
                0.3 * np.sin(4 * along),
            )
        )
    return poses


def camera_matrix(size=SIZE):
    return np.array([[FOCAL, 0, size[1] / 2 - 0.5], [0, FOCAL, size[0] / 2 - 0.5], [0, 0, 1]])


def view(world_from_camera, size=SIZE):
    """Colour uint8 "h w 3" and depth in metres "h w"."""
    v, u = np.mgrid[: size[0], : size[1]]
    rays = (
        np.stack((u, v, np.ones_like(u)), -1)
        @ np.linalg.inv(camera_matrix(size)).T
        @ world_from_camera[:3, :3].T
    )
    eye = world_from_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
        face = np.zeros(size, np.int64)
        axis = np.full(size, 2)
        for b, (low, high) in enumerate(BOXES):
            one, two = (np.array(low) - eye) / rays, (np.array(high) - eye) / rays
            near, far = np.minimum(one, two), np.maximum(one, two)
            enter = near.max(-1)
            hit = (enter < far.min(-1)) & (enter > 0) & (enter < depth)
            depth, axis = np.where(hit, enter, depth), np.where(hit, near.argmax(-1), axis)
            face = np.where(hit, 1 + 3 * b + near.argmax(-1), face)
    point = eye + np.where(np.isfinite(depth), depth, 0)[..., None] * rays
    surface = np.stack(
        [
            np.where(axis == 0, point[..., 1], point[..., 0]),
            np.where(axis == 2, point[..., 1], point[..., 2]),
        ],
        -1,
    )
    level = noise(surface + 0.37 * face[..., None])
    shade = np.array([0.95, 0.35, 0.5, 0.75, 0.25, 0.6, 0.85])[face]
    colour = (40 + 210 * level)[..., None] * (0.25 + 0.75 * shade[..., None] * np.array([[1, 0.9, 0.75]]))
    colour = np.where(np.isfinite(depth)[..., None], colour, 128)
    return cv2.GaussianBlur(colour.clip(0, 255).astype(np.uint8), (0, 0), 0.6), np.where(depth < 3, depth, 0)


def write_scene(root, number=14, size=SIZE):
    """The frames folder of the scene: depth in millimetres, 0 beyond 3 m and in a few holes."""
    rng = np.random.default_rng(0)
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
    for k, pose in enumerate(camera_poses(number)):
        colour, depth = view(pose, size)
        depth = np.where(rng.random(size) < 0.05, 0, depth)
        cv2.imwrite(str(root / "color" / f"{k:04d}.png"), colour[..., ::-1])
        cv2.imwrite(str(root / "depth" / f"{k:04d}.png"), np.rint(depth * 1000).astype(np.uint16))
        np.savetxt(root / "pose" / f"{k:04d}.txt", pose)
    k = camera_matrix(size)
    camera = {
        "width": size[1],
        "height": size[0],
        "fx": FOCAL,
        "fy": FOCAL,
        "cx": k[0, 2],
        "cy": k[1, 2],
        "depth_unit_m": 0.001,
    }
    (root / "intrinsics.json").write_text(json.dumps(camera))
    return root


def poses(root, change):
    files = sorted((root / "pose").glob("*.txt"))
    for path, pose in zip(files, change([np.loadtxt(path) for path in files]), strict=True):
        np.savetxt(path, pose)


def camera(root, **values):
    path = root / "intrinsics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def depths(root, change):
    for path in sorted((root / "depth").glob("*.png")):
        cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))


def colours(root, change):
    for path in sorted((root / "color").iterdir()):
        cv2.imwrite(str(path), change(cv2.imread(str(path))))


def inverted(root):
    poses(root, lambda every: [np.linalg.inv(pose) for pose in every])


def opengl(root):
    poses(root, lambda every: [pose @ np.diag([1.0, -1, -1, 1]) for pose in every])


def inverted_opengl(root):
    poses(root, lambda every: [np.linalg.inv(pose @ np.diag([1.0, -1, -1, 1])) for pose in every])


def mirrored(root):
    poses(root, lambda every: [pose @ np.diag([1.0, -1, 1, 1]) for pose in every])


def millimetres(root):
    def change(every):
        for pose in every:
            pose[:3, 3] *= 1000
        return every

    poses(root, change)


def late(root, by=1):
    """The pose of frame n stands at frame n + by."""
    poses(root, lambda every: [every[min(max(k - by, 0), len(every) - 1)] for k in range(len(every))])


def unit(root, factor):
    camera(root, depth_unit_m=json.loads((root / "intrinsics.json").read_text())["depth_unit_m"] * factor)


def saturated(root, value=65535):
    depths(root, lambda depth: np.where(depth == 0, value, depth).astype(np.uint16))


def ray_length(root):
    k = json.loads((root / "intrinsics.json").read_text())

    def change(depth):
        v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
        length = np.sqrt(((u - k["cx"]) / k["fx"]) ** 2 + ((v - k["cy"]) / k["fy"]) ** 2 + 1)
        return np.rint(depth * length).astype(np.uint16)

    depths(root, change)


def shifted(root, pixels=8):
    colours(root, lambda colour: np.roll(colour, pixels, axis=1))


def resized_camera(root, factor=0.5):
    """The intrinsics of images `factor` times as large."""
    k = json.loads((root / "intrinsics.json").read_text())
    focal = {name: k[name] * factor for name in ("fx", "fy")}
    camera(root, **focal, **{name: (k[name] + 0.5) * factor - 0.5 for name in ("cx", "cy")})


def frames_of(recording, root):
    """Any recording with depth and poses as a frames folder."""
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
    for k, seen in enumerate(recording.views()):
        arrays = decode_view(seen)
        cv2.imwrite(str(root / "color" / f"{k:04d}.png"), arrays.image[..., ::-1])
        cv2.imwrite(str(root / "depth" / f"{k:04d}.png"), arrays.depth)
        np.savetxt(root / "pose" / f"{k:04d}.txt", seen.world_from_camera.double().numpy())
        (fx, _, cx), (_, fy, cy), _ = seen.intrinsics.tolist()
        height, width = arrays.image.shape[:2]
        unit_m = seen.depth.metres_per_unit
    content = {
        "width": width,
        "height": height,
        "fx": fx,
        "fy": fy,
        "cx": cx,
        "cy": cy,
        "depth_unit_m": unit_m,
    }
    (root / "intrinsics.json").write_text(json.dumps(content))
    return root
