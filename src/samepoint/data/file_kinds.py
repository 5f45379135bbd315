"""What files are by their names' endings."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".hif",
        ".avif",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    }
)
"""Images that are decoded. HEIC and HEIF, and AVIF with an old Pillow, need a package (`data.opening`)."""
DEPTH_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".npy", ".npz", ".exr", ".pfm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg"})
UNREAD_IMAGES = frozenset(
    {
        ".gif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".tga",
        ".psd",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raf",
        ".orf",
        ".rw2",
        ".pef",
        ".srw",
        ".raw",
        ".hdr",
    }
)
"""Pictures that viewers show and that are not decoded here."""
OTHER_DATA = frozenset(
    {
        ".mat",
        ".h5",
        ".hdf5",
        ".bag",
        ".mcap",
        ".db3",
        ".svo",
        ".svo2",
        ".oni",
        ".insv",
        ".360",
        ".mts",
        ".3gp",
        ".wmv",
    }
)
"""Recordings and arrays in which images, depth or poses may stand."""
DATA_SUFFIXES = IMAGE_SUFFIXES | DEPTH_SUFFIXES | VIDEO_SUFFIXES | UNREAD_IMAGES | OTHER_DATA


def is_image(path: Path) -> bool:
    """Whether the name is that of an image that is decoded; hidden files are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
