"""Users' 3-D models as objects: OBJ, PLY, STL and GLB files, read with trimesh (the extra `meshes`)."""

from samepoint.sim.meshes.files import find_meshes, mesh_name
from samepoint.sim.meshes.objects import FileObject, read_object, welded

__all__ = ["FileObject", "find_meshes", "mesh_name", "read_object", "welded"]
