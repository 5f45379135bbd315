"""The fur of the fox."""

from __future__ import annotations

import cv2
import numpy as np

from samepoint.sim import patterns as pat
from samepoint.sim.cell.plush.shape import FOX
from samepoint.sim.patterns import Colour, Picture
from samepoint.sim.prints import Sheet

DARK: Colour = (34, 28, 27)


def paint_fox(generator: np.random.Generator) -> Picture:
    """A fur of some shade between yellow and red, light below and at the tip of the tail, dark paws and ears."""
    sheet = Sheet(FOX, generator)
    hue, tone = generator.uniform(0.03, 0.08), generator.uniform(0.75, 0.92)
    coat = pat.from_hsv(hue, generator.uniform(0.7, 0.85), tone)
    light = pat.from_hsv(hue, 0.12, 0.95)
    for name in sheet.panels:
        picture = pat.plain(sheet.size(name), coat)
        h, w = picture.shape[:2]
        if name == "torso":
            picture[:, : w // 5] = picture[:, -w // 5 :] = light
            pat.emblem(generator, picture, (w * 0.42, h * 0.55), h * 0.12, light)
        elif name == "head":
            cv2.ellipse(picture, (w // 2, int(h * 0.75)), (int(w * 0.2), int(h * 0.22)), 0, 0, 360, light, -1)
        elif name == "tail":
            picture[int(h * 0.68) :] = light
        elif name.startswith(("arm", "leg")):
            picture[int(h * 0.62) :] = DARK if name.startswith("arm") else light
        elif name.startswith("ear"):
            cv2.ellipse(picture, (w // 2, int(h * 0.55)), (int(w * 0.15), int(h * 0.3)), 0, 0, 360, DARK, -1)
        elif name == "snout":
            picture[:] = light
        else:
            picture[:] = DARK
        pat.blotches(generator, picture, pat.from_hsv(hue, 0.8, 0.75 * tone), 8, 0.06)
        sheet.finish(name, picture, 9)
    return sheet.picture
