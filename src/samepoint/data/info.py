"""What a data set holds, as plain numbers for `samepoint data info`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from samepoint.data.decode import image_size
from samepoint.data.recording import Dataset
from samepoint.data.rig.points import keypoint_names


def describe(dataset: Dataset) -> dict[str, Any]:
    """A JSON-able summary. Image sizes are read from the headers ("WxH": count); `with_*` count views."""
    views = dataset.views()
    sizes = Counter("{1}x{0}".format(*image_size(view.image)) for view in views)
    families = Counter(model.family for model in dataset.objects.values() if model.family)
    keypoints = {name for model in dataset.objects.values() for name in model.keypoints}
    keypoints |= set(keypoint_names(dataset.recordings))
    return {
        "root": str(dataset.root),
        "recordings": len(dataset.recordings),
        "moments": sum(len(recording.moments) for recording in dataset.recordings),
        **_labels(dataset),
        "views": len(views),
        "modes": dict(Counter(recording.mode for recording in dataset.recordings)),
        "splits": dict(Counter(recording.split or "none" for recording in dataset.recordings)),
        "cameras": dict(Counter(view.camera for view in views)),
        "sizes": dict(sizes.most_common()),
        **{f"with_{name.replace(' ', '_')}": number for name, number in coverage(dataset).items()},
        "objects": len(dataset.objects),
        "families": dict(sorted(families.items())),
        "keypoints": sorted(keypoints),
        **({"notes": list(dataset.notes)} if dataset.notes else {}),
    }


def coverage(dataset: Dataset) -> dict[str, int]:
    """How many views have what training may use."""
    views = dataset.views()
    return {
        "intrinsics": sum(view.intrinsics is not None for view in views),
        "pose": sum(view.world_from_camera is not None for view in views),
        "depth": sum(view.depth is not None for view in views),
        "masks": sum(any(p.mask is not None for p in view.placements) for view in views),
        "object poses": sum(any(p.camera_from_object is not None for p in v.placements) for v in views),
    }


def _labels(dataset: Dataset) -> dict[str, object]:
    """What only recordings of several calibrated cameras have; nothing of others."""
    rigs = [r for r in dataset.recordings if r.still or any(m.clicks for m in r.moments)]
    if not rigs:
        return {}
    return {
        "labelled_moments": sum(bool(moment.clicks) for rig in rigs for moment in rig.moments),
        "static_ranges": sum(len(rig.still) for rig in rigs),
    }
