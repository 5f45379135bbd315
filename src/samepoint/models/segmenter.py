"""Masks of objects by a Mask R-CNN of torchvision whose weights the user has. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from torchvision.models.detection import maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from torchvision.ops import box_iou

from samepoint.errors import DataError, ModelError
from samepoint.models.pretrained import read_weights
from samepoint.types import PixelBox

Detector = Callable[[list[Tensor]], list[dict[str, Tensor]]]
"""RGB images in [0, 1] to, for each, `boxes` n 4 (x0 y0 x1 y1, edges), `scores` n, `masks` n 1 h w in [0, 1]."""

VARIANTS: dict[str, tuple[Callable[..., torch.nn.Module], str]] = {
    "maskrcnn_resnet50_fpn_v2": (maskrcnn_resnet50_fpn_v2, "roi_heads.box_head.0.0.weight"),
    "maskrcnn_resnet50_fpn": (maskrcnn_resnet50_fpn, "roi_heads.box_head.fc6.weight"),
}
"""Name to builder, and a tensor that only this one has."""
CLASSES = "roi_heads.box_predictor.cls_score.weight"
LOWEST = 0.05
"""Score below which nothing is looked at, unless the threshold is lower."""


@dataclass(frozen=True)
class Segmenter:
    """Finds one object in an image. `weights` names it in errors; instances below `threshold` do not count."""

    detector: Detector
    weights: object
    threshold: float = 0.5

    def mask(
        self, image: UInt8[np.ndarray, "h w 3"], box: PixelBox | None = None, where: object = None
    ) -> Bool[np.ndarray, "h w"]:
        """The visible part of the instance whose box overlaps `box` (u0, v0, u1, v1, inclusive) most, by
        intersection over union; without a box, of the one with the highest score. `image` is RGB.

        DataError, with `where`, if there is none.
        """
        planes = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)
        with torch.inference_mode():
            found = self.detector([planes])[0]
        kept = found["scores"] >= self.threshold
        if not kept.any():
            raise _nothing(found["scores"], self.threshold, where)
        best = found["scores"][kept].argmax()
        if box is not None:
            u0, v0, u1, v1 = box
            overlap = box_iou(found["boxes"][kept], torch.tensor([[u0, v0, u1 + 1, v1 + 1]]).float())[:, 0]
            best = overlap.argmax()
            if overlap[best] == 0:
                what = f"none of the {len(overlap)} objects found lies in the box {' '.join(map(str, box))}"
                mend = "draw the box around the object, leave it out, or give a mask"
                raise DataError(what, where=where, mend=mend)
        return (found["masks"][kept][best, 0] > 0.5).cpu().numpy()


def load_segmenter(path: Path, threshold: float = 0.5, side: int = 800) -> Segmenter:
    """The network that a .safetensors or .pth file of torchvision's `maskrcnn_resnet50_fpn_v2` or
    `maskrcnn_resnet50_fpn` fits, recognised by its tensors, with as many classes as it has.

    `side`: images are shown with about so many pixels along their short side. ModelError if the file fits neither.
    """
    weights = read_weights(path)
    name = next((name for name, (_, mark) in VARIANTS.items() if mark in weights), None)
    if name is None or CLASSES not in weights:
        line = f"holds the weights of neither {' nor '.join(VARIANTS)}"
        raise ModelError(line, where=path, mend="give the state_dict of one of them, as torchvision saves it")
    options: dict[str, Any] = {
        "num_classes": len(weights[CLASSES]),
        "min_size": side,
        "max_size": side * 5 // 3,
        "box_score_thresh": min(LOWEST, threshold),
    }
    network = VARIANTS[name][0](weights=None, weights_backbone=None, **options)
    _fill(network, weights, name, path)
    return Segmenter(network.eval(), path, threshold)


def _fill(network: torch.nn.Module, weights: Mapping[str, Tensor], name: str, path: Path) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        line = f"the weights do not fit {name}"
        raise ModelError(line, where=path, mend="give all of its state_dict, unchanged") from error


def _nothing(scores: Tensor, threshold: float, where: object) -> DataError:
    best = f" (best score {float(scores.max()):.2f})" if len(scores) else ""
    mend = "lower --segmenter-score, or give a mask or a box alone"
    return DataError(f"no object found with a score of {threshold:g} or more{best}", where=where, mend=mend)
