"""How far named keypoints are from where they should be: pixels in the views, millimetres in space, and how often the
covariance is right and the network sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

CHI_SQUARED_95 = 7.815
"""Of three degrees of freedom."""


@dataclass(frozen=True)
class PointErrors:
    """`pixels`: distance of each view's own answer from the truth (NaN where that is not known, or outside the
    image), `agreed` of the projected 3-D point (NaN also where there is none), both in pixels at the recorded size,
    without the bend of lenses; `metres`: in space (NaN as these); `inside`: whether the truth is within the ellipsoid
    that should hold 95 % of it; `asked`: where the 3-D truth is known; `visible`: where the answer's confidence
    reaches the run's threshold; `stated`: the standard deviation that the covariance says, metres (`deviation`)."""

    pixels: Float[Tensor, "m c n"]
    agreed: Float[Tensor, "m c n"]
    metres: Float[Tensor, "m n"]
    inside: Bool[Tensor, "m n"]
    asked: Bool[Tensor, "m n"]
    visible: Bool[Tensor, "m n"]
    stated: Float[Tensor, "m n"]

    @staticmethod
    def joined(parts: Sequence[PointErrors]) -> PointErrors:
        """Of all moments (with as many views as there are most, NaN for the rest)."""
        cameras = max(part.pixels.shape[1] for part in parts)

        def padded(values: Tensor) -> Tensor:
            short = cameras - values.shape[1]
            return torch.nn.functional.pad(values, (0, 0, 0, short), value=torch.nan)

        return PointErrors(
            torch.cat([padded(p.pixels) for p in parts]),
            torch.cat([padded(p.agreed) for p in parts]),
            torch.cat([p.metres for p in parts]),
            torch.cat([p.inside for p in parts]),
            torch.cat([p.asked for p in parts]),
            torch.cat([p.visible for p in parts]),
            torch.cat([p.stated for p in parts]),
        )

    def of(self, keypoint: int) -> PointErrors:
        """Of one keypoint, by its place."""
        one = slice(keypoint, keypoint + 1)
        return PointErrors(
            self.pixels[..., one],
            self.agreed[..., one],
            self.metres[:, one],
            self.inside[:, one],
            self.asked[:, one],
            self.visible[:, one],
            self.stated[:, one],
        )

    def summary(self) -> dict[str, float | None]:
        """`rms_pixels` (the figure of seed 003) and `median_pixels` of the `n_places` known in views, the same of the
        agreed point; median, mean and 95 % of the millimetres; the shares `found` and `visible` of the `n_points`
        known in space, and the median of those visible; of those found the share `covered`, inside their ellipsoid,
        and the median `stated_mm`. None where nothing is known."""
        own, agreed, metres = (_known(values) for values in (self.pixels, self.agreed, self.metres))
        asked, found = int(self.asked.sum()), self.metres.isfinite()
        inside, visible = self.inside[found], self.visible & found
        return {
            "rms_pixels": _rms(own),
            "median_pixels": _quantile(own, 0.5),
            "rms_agreed_pixels": _rms(agreed),
            "median_agreed_pixels": _quantile(agreed, 0.5),
            "median_mm": _quantile(1000 * metres, 0.5),
            "mean_mm": float(1000 * metres.mean()) if len(metres) else None,
            "mm_95": _quantile(1000 * metres, 0.95),
            "visible_median_mm": _quantile(1000 * _known(self.metres[visible]), 0.5),
            "stated_mm": _quantile(1000 * _known(self.stated[found]), 0.5),
            "covered": float(inside.float().mean()) if len(inside) else None,
            "found": len(metres) / asked if asked else None,
            "visible": int(visible.sum()) / asked if asked else None,
            "n_points": asked,
            "n_places": len(own),
        }


def mahalanobis_inside(
    error: Float[Tensor, "m n 3"], covariance: Float[Tensor, "m n 3 3"], limit: float = CHI_SQUARED_95
) -> Bool[Tensor, "m n"]:
    """Whether each error lies in the ellipsoid of its covariance; false where one is NaN, or the ellipsoid flat."""
    error, covariance = error.double(), covariance.double()  # a metre long, a tenth of a millimetre thick
    known = error.isfinite().all(-1) & covariance.isfinite().flatten(-2).all(-1)
    safe = torch.where(
        known[..., None, None], covariance, torch.eye(3, dtype=covariance.dtype).to(covariance)
    )
    turned, flat = torch.linalg.solve_ex(safe, error.nan_to_num()[..., None])
    distance = (error * turned[..., 0]).sum(-1)
    return known & (flat == 0) & (distance <= limit)


def deviation(covariance: Float[Tensor, "m n 3 3"]) -> Float[Tensor, "m n"]:
    """The standard deviation along an axis: the root of a third of the trace. NaN where the covariance is."""
    return (covariance.diagonal(dim1=-2, dim2=-1).sum(-1) / 3).sqrt()


def _known(values: Tensor) -> np.ndarray:
    return values[values.isfinite()].double().numpy()


def _rms(values: np.ndarray) -> float | None:
    return float(np.sqrt(np.square(values).mean())) if len(values) else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
