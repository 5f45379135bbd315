"""Files of depth quantiles: arrays `m h w` in NumPy's form, float16 metres in the native form.

Half precision is within 0.025 % of the depth, a fortieth of what the test of occlusion allows, and needs no scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float16

from samepoint.data.recording import DepthQuantiles
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable
from samepoint.types import Size

QUANTILES = 8
"""How many are kept of a ray: shares of surfaces are within 1/16 of the truth, at 16 bytes a pixel."""

MEND = "write m h w depths, floating point or uint16, or remove the file"


def decode_quantiles(file: DepthQuantiles, size: Size) -> Float16[np.ndarray, "m h w"]:
    """Metres, NaN unknown. DataError for a damaged file and for one that does not fit an image of `size`."""
    values = _load(file.path)
    if values.shape[1:] != size:
        want = f"m {size[0]} {size[1]}"
        raise DataError(f"depth quantiles are {values.shape}, not {want}", where=file.path, mend=MEND)
    return half_metres(values, file.metres_per_unit)


def quantile_number(file: DepthQuantiles) -> int:
    """m, from the file's header."""
    return len(_load(file.path))


def half_metres(values: np.ndarray, metres_per_unit: float = 1.0) -> Float16[np.ndarray, "m h w"]:
    """Depths as they are kept: what is not above 0 or not finite (in half precision too) is NaN, unknown."""
    with np.errstate(over="ignore", invalid="ignore"):
        metres = (values.astype(np.float32) * np.float32(metres_per_unit)).astype(np.float16)
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float16(np.nan))


def _load(path: Path) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError("this file does not exist", where=path, mend="check the path") from error
    except (OSError, ValueError, EOFError) as error:
        what = f"is not a readable array ({error})"
        raise explain_unreadable(path) or DataError(what, where=path, mend=MEND) from error
    if not isinstance(values, np.ndarray) or values.ndim != 3 or len(values) == 0:
        shape = getattr(values, "shape", "not one array")
        raise DataError(f"depth quantiles are {shape}, not m h w", where=path, mend=MEND)
    if values.dtype.kind != "f" and values.dtype != np.uint16:
        raise DataError(f"depth quantiles are {values.dtype}", where=path, mend=MEND)
    return values
