"""Draws a compiled MuJoCo model with Cycles. Depth and ids stay MuJoCo's, so that they are the same truth.

Blender is one global scene a process: making a renderer clears what an earlier one made. The only file that knows
Blender's camera: x right, y up, looking along -z, the lens in the middle of the image.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from samepoint.errors import DataError
from samepoint.sim.blender.light import light_up
from samepoint.sim.blender.loading import load_bpy, silence
from samepoint.sim.blender.things import mirror
from samepoint.sim.renderer import NEAR, Renderer, Shot
from samepoint.sim.world import World


class BlenderRenderer:
    """A `Renderer` whose images are Blender's. `measured` is the MuJoCo renderer of the same world.

    `generator` draws materials and light; `samples` rays a pixel; `threads` None: all cores. Cycles runs on the
    processor, where the same scene gives the same image.
    """

    def __init__(
        self,
        measured: Renderer,
        world: World,
        generator: np.random.Generator,
        size: tuple[int, int],
        samples: int = 16,
        threads: int | None = None,
    ) -> None:
        self._measured, self._model = measured, world.model
        self._bpy = load_bpy()
        self._folder = tempfile.TemporaryDirectory(prefix="samepoint-blender-")
        with silence():
            self._bpy.ops.wm.read_factory_settings(use_empty=True)
            self._set(size, samples, threads)
            self._objects = mirror(self._bpy, world.mujoco, world.model, generator)
            light_up(self._bpy, generator, world.room)
            self._camera = self._add_camera()

    def close(self) -> None:
        self._measured.close()
        self._folder.cleanup()

    def shoot(self, data: Any, world_from_camera: Float[np.ndarray, "4 4"], fovy: float) -> Shot:
        """One view of the state in `data` (after mj_forward); OpenCV axes, `fovy` in radians."""
        geoms, depth = self._measured.measure(data, world_from_camera, fovy)
        for geom, thing in self._objects.items():
            _place(thing, data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom])
        _place(self._camera, world_from_camera[:3, :3] * (1, -1, -1), world_from_camera[:3, 3])
        self._camera.data.angle = fovy
        return Shot(self._draw(), depth, geoms)

    def _draw(self) -> UInt8[np.ndarray, "h w 3"]:
        path = Path(self._folder.name) / "view.png"
        self._bpy.context.scene.render.filepath = str(path)
        with silence():
            self._bpy.ops.render.render(write_still=True)
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError("Blender wrote no image", where=path, mend="see that the disk is not full")
        path.unlink()
        return np.ascontiguousarray(image[..., ::-1])

    def _add_camera(self) -> Any:
        lens = self._bpy.data.cameras.new("view")
        lens.sensor_fit = "VERTICAL"
        lens.clip_start, lens.clip_end = NEAR, float(self._model.vis.map.zfar)
        camera = self._bpy.data.objects.new("view", lens)
        self._bpy.context.scene.collection.objects.link(camera)
        self._bpy.context.scene.camera = camera
        return camera

    def _set(self, size: tuple[int, int], samples: int, threads: int | None) -> None:
        scene = self._bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.cycles.device = "CPU"
        scene.cycles.samples = samples
        scene.cycles.use_adaptive_sampling = False
        scene.cycles.use_denoising = True
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
        scene.cycles.denoising_prefilter = "FAST"
        scene.cycles.max_bounces = 4
        scene.render.resolution_y, scene.render.resolution_x = size
        scene.render.resolution_percentage = 100
        scene.render.use_persistent_data = True
        scene.render.dither_intensity = 0.0
        scene.render.image_settings.file_format = "PNG"
        scene.render.image_settings.color_mode = "RGB"
        scene.render.image_settings.compression = 0
        scene.view_settings.view_transform = "Standard"
        scene.view_settings.look = "None"
        if threads is not None:
            scene.render.threads_mode, scene.render.threads = "FIXED", threads


def _place(thing: Any, rotation: Float[np.ndarray, "3 3"], position: Float[np.ndarray, " 3"]) -> None:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    thing.matrix_world = pose.T.tolist()
