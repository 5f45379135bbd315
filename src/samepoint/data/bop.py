"""BOP data sets, native and foreign: the reader, with the writer's names beside it."""

from __future__ import annotations

from samepoint.data.bop_writer import BopWriter, ObjectMesh, SceneWriter, WrittenView

__all__ = ["BopWriter", "ObjectMesh", "SceneWriter", "WrittenView"]
