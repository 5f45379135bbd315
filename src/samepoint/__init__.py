"""samepoint: find the same point on an object in every image.

finder = samepoint.load("runs/mug")
finder.remember("handle", image, uv=(312, 140))
hits = finder.find(new_image)
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samepoint.inference import Finder, Hit, RigFinder, RigHit, load, load_rig

__all__ = ["Finder", "Hit", "RigFinder", "RigHit", "load", "load_rig"]

__version__ = version("samepoint")


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds: only who uses the finder pays for it.
    if name in __all__:
        from samepoint import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'samepoint' has no attribute {name!r}")
