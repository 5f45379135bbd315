"""A ChArUco board as cameras with lenses see it, drawn from their exact numbers."""

import cv2
import numpy as np

from samepoint.data.rig.charuco_board import Board

TEXELS = 80
"""A square."""
FINER = 2
"""Samples a pixel, along each axis."""


class Painter:
    """Draws a board; `k` and `bent` of the camera, `size` (height, width) of its images."""

    def __init__(self, board, k, bent, size, fisheye=False):
        edges = (board.columns * TEXELS, board.rows * TEXELS)
        self.paper = cv2.copyMakeBorder(
            board.opencv.generateImage(edges), *(TEXELS // 2,) * 4, cv2.BORDER_CONSTANT, value=255
        )
        self.board, self.size = board, size
        height, width = size[0] * FINER, size[1] * FINER
        v, u = np.mgrid[:height, :width]
        pixels = (np.stack((u, v), -1).reshape(-1, 1, 2) + 0.5) / FINER - 0.5
        undistort = cv2.fisheye.undistortPoints if fisheye else cv2.undistortPoints
        straight = undistort(pixels, k, bent).reshape(height, width, 2)
        self.rays = np.concatenate((straight, np.ones((height, width, 1))), -1)

    def draw(self, camera_from_board):
        """Grey image `h w`."""
        board_from_camera = np.linalg.inv(camera_from_board)
        rays = self.rays @ board_from_camera[:3, :3].T
        depth = -board_from_camera[2, 3] / rays[..., 2]
        at = board_from_camera[:2, 3] + rays[..., :2] * depth[..., None]
        texel = at / self.board.square * TEXELS + TEXELS // 2 - 0.5
        texel[depth <= 0] = -1e6
        fine = cv2.remap(
            self.paper,
            texel.astype(np.float32),
            None,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=110,
        )
        return cv2.resize(fine, self.size[::-1], interpolation=cv2.INTER_AREA)


BOARD = Board(7, 5, 0.03, 0.022)
MATRICES = {
    False: [
        np.array([[f, 0, u], [0, f + 2, v], [0, 0, 1]])
        for f, u, v in ((520.0, 318.0, 243.0), (560.0, 325.0, 236.0), (500.0, 310.0, 240.0))
    ],
    True: [
        np.array([[f, 0, u], [0, f + 2, v], [0, 0, 1]])
        for f, u, v in ((260.0, 318.0, 243.0), (280.0, 325.0, 236.0), (250.0, 310.0, 240.0))
    ],
}
"""Of three cameras; of wide ones (True)."""


def lenses(fisheye):
    if fisheye:
        return [np.array([0.05, -0.02, 0.005, -0.001])] * 3
    return [np.array(k) for k in ((-0.2, 0.08, 0.001, -0.001), (0.05, -0.1, 0, 0.001), (-0.1, 0.02, 0, 0))]


def rig_cameras(fisheye):
    """Camera from world, of the three: in a row, all looking at the world's origin."""
    near = 0.25 if fisheye else 0.42
    return [_looking_at_the_origin((x, 0.05 * i, -near)) for i, x in enumerate((-0.15, 0.0, 0.18))]


def draw_rig(folder, fisheye, moments):
    """Images of a board that is moved about the origin, `folder`/CAMERA/MOMENT.png; returns `folder`."""
    generator = np.random.default_rng(1)
    painters = [
        Painter(BOARD, k, bent, (480, 640), fisheye)
        for k, bent in zip(MATRICES[fisheye], lenses(fisheye), strict=True)
    ]
    for moment in range(moments):
        tilt, spin = np.r_[generator.uniform(-0.6, 0.6, 2), 0], np.r_[0, 0, generator.uniform(-0.6, 0.6)]
        board = np.eye(4)
        board[:3, :3] = cv2.Rodrigues(spin)[0] @ cv2.Rodrigues(tilt)[0]
        middle = generator.uniform((-0.12, -0.09, -0.08), (0.12, 0.09, 0.1))
        board[:3, 3] = middle - board[:3, :3] @ (0.105, 0.075, 0)
        for name, painter, camera in zip(
            ("left", "middle", "right"), painters, rig_cameras(fisheye), strict=True
        ):
            grey = cv2.GaussianBlur(painter.draw(camera @ board), (0, 0), 0.6)
            noisy = grey + generator.normal(scale=2, size=grey.shape)
            (folder / name).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / name / f"{moment:03}.png"), noisy.clip(0, 255).astype(np.uint8))
    return folder


def _looking_at_the_origin(eye):
    forward = -np.array(eye) / np.linalg.norm(eye)
    right = np.cross((0, 1, 0), forward)
    right /= np.linalg.norm(right)
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.stack((right, np.cross(forward, right), forward), axis=1)
    world_from_camera[:3, 3] = eye
    return np.linalg.inv(world_from_camera)
