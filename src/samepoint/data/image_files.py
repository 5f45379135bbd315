"""Image files through one door: opened, turned as their EXIF orientation says, with clear errors.

HEIC and HEIF files need the package pillow-heif (`samepoint[formats]`). Pillow refuses images of more than 179
million pixels; here the limit is `MOST_PIXELS`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError, MissingDependencyError
from samepoint.reading import explain_unreadable
from samepoint.types import Size

ORIENTATION = 0x0112
"""The EXIF tag; 1 to 8, of which 5 to 8 exchange width and height. Other values mean nothing and are passed over."""
MOST_PIXELS = 1 << 30
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_limit = threading.Lock()


def load_image(path: Path, what: str = "image") -> Image.Image:
    """The decoded image, turned as its EXIF orientation says. DataError for a file that is cut off or no image."""
    with opened(path, what) as image:
        return upright(image)


def upright(image: Image.Image) -> Image.Image:
    """The image, loaded and turned as its EXIF orientation says."""
    turned = orientation_of(image) > 1  # before it is loaded, as where only the header is read
    image.load()
    return ImageOps.exif_transpose(image) if turned else image


def image_size(path: Path) -> Size:
    """(height, width) after EXIF orientation, from the header alone."""
    (height, width), orientation = stored_size(path)
    return (width, height) if orientation >= 5 else (height, width)


def stored_size(path: Path) -> tuple[Size, int]:
    """(height, width) before, and the EXIF orientation (1: none), from the header alone."""
    try:
        with _opened(path) as image:
            return _size(image), orientation_of(image)
    except _UNREADABLE as error:
        raise unreadable(path, "image", error, "is not a readable image") from error


def is_turned(path: Path) -> bool:
    """Whether the image has an EXIF orientation that is shown otherwise than its pixels are stored."""
    return stored_size(path)[1] > 1


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 where there is none, or one that means nothing (0, 9)."""
    # Asking a PNG for EXIF that it does not announce would decode all of it.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def opened(path: Path, what: str = "image") -> Iterator[Image.Image]:
    """The image, its header read, and DataError (`what` it should be) for all that goes wrong within."""
    try:
        with _opened(path) as image:
            yield image
    except _UNREADABLE as error:
        raise unreadable(path, what, error) from error


def unreadable(path: Path, what: str, error: Exception, line: str | None = None) -> DataError:
    """The error of a file that cannot be read; `line` in place of "is damaged or truncated"."""
    if isinstance(error, FileNotFoundError) and not path.is_symlink():
        return DataError(f"this {what} does not exist", where=path, mend="check the path")
    if isinstance(error, IsADirectoryError):
        return DataError("this is a folder, not a file", where=path, mend=f"give the {what}")
    if isinstance(error, Image.DecompressionBombError):
        return DataError(f"this {what} is too large ({error})", where=path, mend="make it smaller")
    known = explain_unreadable(path)
    if known is not None:
        return known
    if isinstance(error, UnidentifiedImageError):  # repeats the whole path
        line = line or f"this {what} is damaged or truncated, or no image"
        return DataError(line, where=path, mend="replace or remove the file")
    line = line or f"this {what} is damaged or truncated"
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(f"{line} ({reason})", where=path, mend="replace or remove the file")


_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, KeyError, Image.DecompressionBombError)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _open(Path(path)) as image:
            yield image


def _open(path: Path) -> Image.Image:
    if is_heif(path):
        with_heif(path)
    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        with _limit:
            usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = usual
        height, width = _size(image)
        if height * width > MOST_PIXELS:
            image.close()
            line = f"{width}x{height} pixels, more than {MOST_PIXELS >> 20} million"
            raise Image.DecompressionBombError(line) from None
        return image


def is_large(size: Size) -> bool:
    """Whether an image is beyond Pillow's own limit: one of these is decoded at a time."""
    limit = Image.MAX_IMAGE_PIXELS
    return limit is not None and size[0] * size[1] > 2 * limit


def is_heif(path: Path) -> bool:
    """Whether the content, whatever the name, is HEIC or HEIF."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def with_heif(path: Path) -> None:
    """Lets Pillow open HEIC. MissingDependencyError names the file where the package is missing."""
    try:
        plugin = package("pillow_heif", "reading HEIC images", install="pillow-heif")
    except MissingDependencyError as error:
        raise MissingDependencyError(error.what, where=path, mend=error.mend) from error
    plugin.register_heif_opener()


def _size(image: Image.Image) -> Size:
    if isinstance(image, TiffImageFile):  # its `size` may or may not be turned already
        return int(image.tag_v2[257]), int(image.tag_v2[256])
    return image.size[1], image.size[0]
