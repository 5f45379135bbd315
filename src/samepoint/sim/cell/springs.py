"""Joints with springs, in old and new MuJoCo."""

from __future__ import annotations

from typing import Any

import numpy as np

ARMATURE = 1e-5


def set_spring(joint: Any, stiffness: float, damping: float) -> None:
    """A linear spring (newton metres a radian) and damper. Newer MuJoCo takes the terms of a polynomial."""
    for name, value in (("stiffness", stiffness), ("damping", damping)):
        terms = np.ndim(getattr(joint, name)) > 0
        setattr(joint, name, [value, 0.0, 0.0] if terms else value)
    joint.armature = ARMATURE
