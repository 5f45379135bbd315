"""The evaluation of named 3-D keypoints once more, slowly: one moment, one view and one keypoint at a time, in numpy.

Cameras of several sizes, some with a bent lens, look at two coloured dots; the network's heatmaps say how much each
cell has a dot's colour. Its images are smaller than the recorded ones.
"""

import csv

import cv2
import numpy as np
import torch
from PIL import Image
from tests.recipes.dots import COLOURS, FIELDS

from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.geometry.lenses import Lens
from samepoint.inference.points import OUTLIER, SURE
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.types import CellMap, Heatmaps

NAMES, SIGMA, MAX_SIZE = ("red", "blue"), 2.0, 20
BENT = Lens("brown", (-0.25, 0.08, 0.002, -0.001, 0.0))
RIGS = {
    "test_a": {"cam0": ((32, 32), None), "cam1": ((24, 40), None), "cam2": ((32, 40), BENT)},
    "test_b": {"cam0": ((40, 40), BENT), "cam3": ((16, 16), None)},
    "train": {"cam0": ((32, 32), None), "cam1": ((24, 40), None)},
}
"""By recording and camera the size (height, width) and the lens."""
MOMENTS = {"test_a": 9, "test_b": 4, "train": 3}
AWAY = {("test_a", 1): "cam1", ("test_a", 2): "cam0"}
"""Images that are missing."""


class Colours(HeatmapNetwork):
    """A hand-made network: the logits fall with the distance of a cell's colour from the dot's."""

    def __init__(self):
        super().__init__(UNetConfig((8, 16), 1), NAMES)

    def forward(self, image):
        colours = torch.tensor([COLOURS[name] for name in NAMES]) / 255
        off = (image[:, None] - colours[None, :, :, None, None]).square().sum(2)
        logits = -25 * torch.nn.functional.avg_pool2d(off, 2)
        return Heatmaps(logits, CellMap((2.0, 2.0), (0.5, 0.5)), tuple(image.shape[-2:]))


def cameras_of(rig):
    out = {}
    for c, (name, (size, lens)) in enumerate(rig.items()):
        angle = 0.4 + c * 1.9
        eye = 0.7 * np.array([np.cos(angle), np.sin(angle), 0.5 + 0.2 * c])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), eye
        k = np.array(
            [[1.2 * size[0], 0, (size[1] - 1) / 2 + 1], [0, 1.25 * size[0], (size[0] - 1) / 2], [0, 0, 1]]
        )
        out[name] = Camera(name, size, torch.from_numpy(k).float(), torch.from_numpy(pose).float(), lens)
    return out  # fmt: skip


def bent_pixel(camera, xyz):
    """Where a point lies in the image as recorded."""
    pose = np.linalg.inv(camera.world_from_camera.double().numpy())
    bend = np.array(camera.lens.coefficients if camera.lens else [0.0] * 5)
    rotation, _ = cv2.Rodrigues(pose[:3, :3])
    uv, _ = cv2.projectPoints(xyz[None], rotation, pose[:3, 3], camera.intrinsics.double().numpy(), bend)
    return uv[0, 0]


def write_recording(folder, rig, moments, seed, exact):
    """Dots; with points.csv, or with clicks alone (of the last moment one click only)."""
    generator, cameras = np.random.default_rng(seed), cameras_of(rig)
    write_calibration(folder / "calibration.toml", cameras)
    rows = {"labels": [], "points": []}
    for m in range(moments):
        reach = 0.35 if m == 0 else 0.14  # some lie outside an image
        places = {name: generator.uniform(-reach, reach, 3) for name in NAMES}
        for name, camera in cameras.items():
            if AWAY.get((folder.name, m)) == name:
                continue
            v, u = np.mgrid[: camera.size[0], : camera.size[1]]
            image = np.full((*camera.size, 3), 90, np.uint8)
            image += generator.integers(0, 30, image.shape, dtype=np.uint8)
            for dot in NAMES:
                at = bent_pixel(camera, places[dot])
                image[(v - at[1]) ** 2 + (u - at[0]) ** 2 < 9] = COLOURS[dot]
                if not exact and (m < moments - 1 or (name, dot) == ("cam0", "red")):
                    inside = all(-0.5 <= x < side - 0.5 for x, side in zip(at, camera.size[::-1]))
                    rows["labels"] += [(f"{m:03d}", name, dot, *at)] if inside else []
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / name / f"{m:03d}.png")
        rows["points"] += [(f"{m:03d}", dot, *places[dot]) for dot in NAMES] if exact else []
    for table, content in rows.items():
        if content:
            with (folder / f"{table}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([FIELDS[table], *content])


def straight_image(camera, path):
    """The image without bend, shrunk, and the camera matrix of it."""
    image, k = np.array(Image.open(path)), camera.intrinsics.double().numpy().copy()
    if camera.lens:
        maps = cv2.initUndistortRectifyMap(
            k, np.array(camera.lens.coefficients), np.eye(3), k, image.shape[1::-1], cv2.CV_32FC1
        )
        image = cv2.remap(image, *maps, cv2.INTER_LINEAR)
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIZE / max(height, width))
    size = round(scale * width), round(scale * height)
    if scale < 1:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    su, sv = size[0] / width, size[1] / height
    k[0] = [su * k[0, 0], 0, su * (k[0, 2] + 0.5) - 0.5]
    k[1] = [0, sv * k[1, 1], sv * (k[1, 2] + 0.5) - 0.5]
    return image, k, (su, sv)


def read_heatmap(logits, readout):
    """Where it looks and its mean variance, in pixels of the network's image, and the share of it round the mode."""
    rows, columns = np.mgrid[: logits.shape[0], : logits.shape[1]]
    places = np.stack([2 * columns + 0.5, 2 * rows + 0.5], -1).reshape(-1, 2)
    share = np.exp(logits.ravel() - logits.max())
    share /= share.sum()
    mean = share @ places
    variance = (share @ (places - mean) ** 2).mean()
    near = np.linalg.norm(places - places[share.argmax()], axis=1) <= 3 * SIGMA
    held = (share * near).sum()
    return (mean if readout == "mean" else (share * near) @ places / held), variance, held


def nearest_point(views, weights):
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for view, weight in zip(views, weights):
        across = weight * (np.eye(3) - np.outer(view["ray"], view["ray"]))
        normal, right = normal + across, right + across @ view["pose"][:3, 3]
    return np.linalg.solve(normal, right)


def pinhole(k, pose, xyz):
    camera = np.linalg.inv(pose) @ [*xyz, 1]
    return (k @ camera[:3])[:2] / camera[2]


def find(views, refine):
    """The point of one keypoint, its information and its confidence, from dictionaries, one a view."""
    for view in views:
        ray = view["pose"][:3, :3] @ np.linalg.inv(view["k"]) @ [*view["uv"], 1]
        view["ray"] = ray / np.linalg.norm(ray)
    own = [1 / (1 + (view["variance"] / SIGMA**2) ** 2) for view in views]
    weights, xyz = own, nearest_point(views, own)
    for _ in range(refine):
        miss = [np.linalg.norm(pinhole(v["k"], v["pose"], xyz) - v["uv"]) for v in views]
        weights = [w / (1 + (d / (OUTLIER * SIGMA)) ** 2) ** 2 for w, d in zip(own, miss)]
        xyz = nearest_point(views, weights)
    information = np.zeros((3, 3))
    for view, weight in zip(views, weights):
        pixels = max(view["variance"] - SIGMA**2, SURE**2)
        focal = np.sqrt(np.linalg.det(view["k"][:2, :2]))
        across = pixels * (np.linalg.norm(xyz - view["pose"][:3, 3]) / focal) ** 2
        information += weight / across * (np.eye(3) - np.outer(view["ray"], view["ray"]))
    agreement = []
    for view in views:
        miss = np.linalg.norm(pinhole(view["k"], view["pose"], xyz) - view["uv"]) / (OUTLIER * SIGMA)
        in_front = (np.linalg.inv(view["pose"]) @ [*xyz, 1])[2] > 0
        agreement.append(view["held"] / (1 + miss**2) ** 2 if in_front else 0.0)
    return xyz, information, sorted(agreement)[-2]


def true_places(folder, recording, cameras, moment, dot, exact):
    """In space, and by camera in the straightened image, from the files."""
    with (folder / f"{'points' if exact else 'labels'}.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["moment"], r["keypoint"]) == (moment, dot)]
    uv = {}
    if exact:
        (row,) = rows
        xyz = np.array([float(row[axis]) for axis in "xyz"])
        for name, camera in cameras.items():
            pose = camera.world_from_camera.double().numpy()
            in_front = (np.linalg.inv(pose) @ [*xyz, 1])[2] > 0
            h, w = camera.size
            seen, straight = bent_pixel(camera, xyz), pinhole(camera.intrinsics.double().numpy(), pose, xyz)
            both = [-0.5 <= p[0] < w - 0.5 and -0.5 <= p[1] < h - 0.5 for p in (seen, straight)]
            if in_front and all(both):
                uv[name] = straight
        return xyz, uv
    views = []
    for row in rows:
        camera = cameras[row["camera"]]
        k, pose = camera.intrinsics.double().numpy(), camera.world_from_camera.double().numpy()
        at = np.array([[[float(row["u"]), float(row["v"])]]])
        if camera.lens:
            stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
            bend = np.array(camera.lens.coefficients)
            at = cv2.undistortPointsIter(at, k, bend, np.eye(3), k, stop)
        h, w = camera.size
        ray = pose[:3, :3] @ np.linalg.inv(k) @ [*at[0, 0], 1]
        views.append({"ray": ray / np.linalg.norm(ray), "pose": pose})
        if -0.5 <= at[0, 0, 0] < w - 0.5 and -0.5 <= at[0, 0, 1] < h - 0.5:
            uv[row["camera"]] = at[0, 0]
    return (nearest_point(views, [1.0] * len(views)) if len(views) > 1 else None), uv


def twin(data, readout, refine, looked_for, chance=False):
    """Errors by keypoint: pixels of views' own answers, of the point, millimetres, inside, millimetres where sure,
    stated millimetres, and how many are asked."""
    network, out = Colours(), {dot: [[], [], [], [], [], [], 0] for dot in NAMES}
    truths = {}
    for recording in ("test_a", "test_b"):
        cameras = cameras_of(RIGS[recording])
        for m in range(MOMENTS[recording]):
            for dot in NAMES:
                exact = recording == "test_a"
                truths[recording, m, dot] = true_places(
                    data / recording, recording, cameras, f"{m:03d}", dot, exact
                )
    for (recording, m, dot), (true, true_uv) in truths.items():
        views, scales = [], {}
        for name, camera in cameras_of(RIGS[recording]).items():
            path = data / recording / name / f"{m:03d}.png"
            if not path.is_file():
                continue
            image, k, scale = straight_image(camera, path)
            tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            logits = network(tensor).logits[0, NAMES.index(dot)].double().numpy()
            uv, variance, held = read_heatmap(logits, readout)
            pose = camera.world_from_camera.double().numpy()
            scales[name] = {
                "uv": uv,
                "variance": variance,
                "k": k,
                "pose": pose,
                "scale": scale,
                "held": held,
            }
            if dot in looked_for.get(name, NAMES):
                views.append(scales[name])
        xyz, information, confidence = find(views, refine) if len(views) > 1 else (None, None, 0.0)
        others = [t for (r, n, d), (t, _) in truths.items() if d == dot and (r, n) != (recording, m)]
        if chance:
            xyz = np.mean([t for t in others if t is not None], axis=0)
        own, agreed, mm, inside, sure, stated, _ = out[dot]
        for name, uv in true_uv.items():
            if name not in scales or dot not in looked_for.get(name, NAMES):
                continue
            view = scales[name]
            answers = [None if xyz is None else pinhole(view["k"], view["pose"], xyz)]
            answers.append(answers[0] if chance else view["uv"])
            for answer, column in zip(answers, (agreed, own)):
                if answer is not None:
                    recorded = (answer + 0.5) / view["scale"] - 0.5
                    column.append(float(np.linalg.norm(recorded - uv)))
        if true is not None:
            out[dot][-1] += 1
            if xyz is not None:
                mm.append(1000 * float(np.linalg.norm(xyz - true)))
                inside.append(None if chance else (xyz - true) @ information @ (xyz - true) <= 7.815)
                sure += [mm[-1]] if confidence >= 0.5 else []
                stated.append(
                    1000 * np.sqrt(np.trace(np.linalg.inv(information)) / 3) if not chance else None
                )
    return out


def summarised(columns):
    own, agreed, mm, inside, sure, stated, asked = columns
    blind = None in inside  # chance
    return {
        "rms_pixels": np.sqrt(np.mean(np.square(own))),
        "median_pixels": np.median(own),
        "rms_agreed_pixels": np.sqrt(np.mean(np.square(agreed))),
        "median_agreed_pixels": np.median(agreed),
        "median_mm": np.median(mm),
        "mean_mm": np.mean(mm),
        "mm_95": np.quantile(mm, 0.95),
        "covered": None if blind else np.mean(inside),
        "visible": None if blind else len(sure) / asked,
        "visible_median_mm": None if blind else np.median(sure),
        "stated_mm": None if blind else np.median(stated),
        "found": len(mm) / asked,
        "n_points": asked,
        "n_places": len(own),
    }
