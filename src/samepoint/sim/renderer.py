"""MuJoCo's offscreen renderer: colour, metric depth and geom ids of a camera given by K and its pose.

The only file that knows OpenGL: its camera axes (x right, y up, looking along -z), its image (bottom row
first) and its depth buffer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from samepoint.errors import MissingDependencyError

NEAR, FAR = 0.02, 12.0
"""Metres: nothing nearer or farther is drawn (a larger room is drawn farther: see the model's `zfar`)."""
BACKENDS = ("egl", "osmesa")
PACKAGES = "libegl1 libgl1-mesa-dri (EGL) or libosmesa6 (OSMesa)"


@dataclass(frozen=True)
class Shot:
    """What the camera sees. `geoms` holds geom ids, -1 for none; `depth` is metres along the optical axis."""

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    geoms: Int[np.ndarray, "h w"]


@runtime_checkable
class Draws(Protocol):
    """What takes shots of one world."""

    def shoot(self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float) -> Shot: ...

    def close(self) -> None: ...


def load_mujoco() -> ModuleType:
    """The mujoco module with a GL backend that works: MUJOCO_GL if set, else EGL, else OSMesa.

    Raises MissingDependencyError naming the Debian packages when there is none.
    """
    chosen = os.environ.get("MUJOCO_GL")
    reason: Exception | None = None
    for backend in (chosen,) if chosen else BACKENDS:
        os.environ["MUJOCO_GL"] = backend
        if backend in BACKENDS:
            os.environ["PYOPENGL_PLATFORM"] = backend
        try:
            import mujoco
            from mujoco import gl_context

            context = gl_context.GLContext(16, 16)
            context.make_current()
            context.free()
            return mujoco
        except Exception as error:
            reason = error
            if not chosen:
                os.environ.pop("MUJOCO_GL", None)
                os.environ.pop("PYOPENGL_PLATFORM", None)
                _forget_mujoco_gl()
    raise MissingDependencyError(
        f"MuJoCo finds no way to draw offscreen (MUJOCO_GL={chosen or 'egl, then osmesa'}: {reason})",
        mend=f"install the Debian packages {PACKAGES}",
    )


def _forget_mujoco_gl() -> None:
    import sys

    for name in [n for n in sys.modules if n.split(".")[0] in ("mujoco", "OpenGL")]:
        del sys.modules[name]


def intrinsics(fovy: float, size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """K of a vertical field of view (radians), with integer pixel values at pixel centres."""
    h, w = size
    focal = h / 2 / np.tan(fovy / 2)
    return np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])


def exposed(image: UInt8[np.ndarray, "h w 3"], target: float) -> UInt8[np.ndarray, "h w 3"]:
    """What automatic exposure does: brings the mean half-way to `target`, within limits."""
    mean = max(float(image.mean()) / 255, 1e-3)
    gain = float(np.clip((target / mean) ** 0.7, 0.6, 2.2))
    return np.clip(image * gain, 0, 255).astype(np.uint8)


class Renderer:
    """Draws one model. One camera named "view" is moved to wherever a shot is taken.

    `supersample` times the size is drawn in colour and averaged; depth and ids are exact, one ray a pixel.
    """

    def __init__(
        self, mujoco: ModuleType, model: Any, context: Any, size: tuple[int, int], supersample: int = 2
    ):
        self._mj, self._model, self._size, self._factor = mujoco, model, size, supersample
        context.make_current()
        self._scene = mujoco.MjvScene(model=model, maxgeom=400)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera("view").id
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR

    def close(self) -> None:
        self._context.free()

    def shoot(self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float) -> Shot:
        """One view of the state in `data` (after mj_forward); OpenCV axes, `fovy` in radians."""
        self._look(data, world_from_camera, fovy)
        image = self._colour()
        geoms, depth = self._geometry()
        return Shot(image, depth, geoms)

    def draw(
        self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The image of a shot, without its depth and geom ids."""
        self._look(data, world_from_camera, fovy)
        return self._colour()

    def measure(
        self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float
    ) -> tuple[Int[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Geom ids and depth of a shot, without its image."""
        self._look(data, world_from_camera, fovy)
        return self._geometry()

    def _look(self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float) -> None:
        at = self._camera.fixedcamid
        self._model.cam_fovy[at] = np.rad2deg(fovy)
        data.cam_xpos[at] = world_from_camera[:3, 3]
        data.cam_xmat[at] = (world_from_camera[:3, :3] * (1, -1, -1)).ravel()
        category = self._mj.mjtCatBit.mjCAT_ALL.value
        self._mj.mjv_updateScene(self._model, data, self._option, None, self._camera, category, self._scene)

    def _colour(self) -> UInt8[np.ndarray, "h w 3"]:
        h, w = self._size
        k = self._factor
        image = np.empty((h * k, w * k, 3), np.uint8)
        rectangle = self._mj.MjrRect(0, 0, w * k, h * k)
        self._mj.mjr_render(rectangle, self._scene, self._context)
        self._mj.mjr_readPixels(image, None, rectangle, self._context)
        image = image[::-1]
        return cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA) if k > 1 else image.copy()

    def _geometry(self) -> tuple[Int[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        flags = self._scene.flags.copy()
        flag = self._mj.mjtRndFlag
        self._scene.flags[flag.mjRND_SEGMENT] = self._scene.flags[flag.mjRND_IDCOLOR] = 1
        rectangle = self._mj.MjrRect(0, 0, self._size[1], self._size[0])
        colours, inverse = np.empty((*self._size, 3), np.uint8), np.empty(self._size, np.float32)
        self._mj.mjr_render(rectangle, self._scene, self._context)
        self._mj.mjr_readPixels(colours, inverse, rectangle, self._context)
        self._scene.flags[:] = flags
        number = colours[::-1].astype(np.int32) @ np.array([1, 256, 65536], np.int32)
        return self._geom_of_number()[number], _metres(inverse[::-1], float(self._model.vis.map.zfar))

    def _geom_of_number(self) -> Int[np.ndarray, " n"]:
        drawn = self._scene.geoms[: self._scene.ngeom]
        table = np.full(self._scene.ngeom + 2, -1, np.int32)
        kind = int(self._mj.mjtObj.mjOBJ_GEOM)
        for geom in drawn:
            if geom.segid >= 0 and geom.objtype == kind:
                table[geom.segid + 1] = geom.objid
        return table


def _metres(inverse: Float[np.ndarray, "h w"], far: float) -> Float[np.ndarray, "h w"]:
    """Metric depth of a reversed depth buffer (1 at NEAR, 0 at `far`); 0 where nothing was hit."""
    buffer = inverse.astype(np.float64)
    depth = far * NEAR / (NEAR + buffer * (far - NEAR))
    return np.where(buffer <= 0, 0.0, depth).astype(np.float32)
