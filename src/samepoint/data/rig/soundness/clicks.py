"""Single clicks that are probably wrong: the others of their point agree without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.doctor.findings import Finding
from samepoint.data.recording import Recording
from samepoint.data.rig.soundness.evidence import Evidence, Fit, Mark
from samepoint.data.rig.soundness.groups import Group
from samepoint.data.rig.soundness.labels import named, place

CHECK = "clicks"
TIMES, SHARE = 5.0, 0.02
"""A click is suspected above so many median errors, and above this share of the image's diagonal."""
MANY = 0.05
"""Share of points with a wrong click from which it is a fault."""
SHOWN = 3
"""Clicks that the sentence names."""


def check_clicks(recording: Recording, made: Sequence[Group]) -> Finding:
    """Of a recording whose calibration is right."""
    if not made:
        return Finding(CHECK, "not applicable", "no keypoint is labelled in two views")
    evidence = Evidence.of(recording, made)
    fit = evidence.fit()
    limit = _limit(evidence, fit)
    bad = (fit.residual > limit).any(1).nonzero().flatten().tolist()
    if not bad:
        return Finding(
            CHECK, "right", f"none is over {float(limit.min()):.3g} px from where its point projects"
        )
    suspects = [_suspects(evidence.some([g]), limit[g : g + 1]) for g in bad]
    suspects.sort(key=lambda found: -found[1])
    text = [
        f"{' or '.join(named(recording, [mark]) for mark in marks)} ({off:.3g} px)" for marks, off in suspects
    ]
    more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    listed = "; ".join(text[:SHOWN]) + more
    sentence = f"{len(bad)} of {len(made)} points have a click that is probably wrong: {listed}"
    images = tuple(dict.fromkeys(place(recording, mark) for marks, _ in suspects for mark in marks))
    verdict = "fault" if len(bad) > max(1, MANY * len(made)) else "undecided"
    return Finding(CHECK, verdict, sentence, "look at these clicks, and correct or remove them", images)


def _limit(evidence: Evidence, fit: Fit) -> Float[Tensor, "g c"]:
    median = fit.residual[fit.residual.isfinite()].quantile(0.5)
    return (SHARE * evidence.rig.diagonals)[evidence.camera].clamp(min=TIMES * float(median))


def _suspects(point: Evidence, limit: Float[Tensor, "1 c"]) -> tuple[list[Mark], float]:
    """The click of a point without which the others agree, and how far it is off, pixels. Of two clicks both, as
    either may be it; of more that agree without none of them, the one that is furthest off."""
    clicks = point.marks[0]
    written = point.fit().residual[0, : len(clicks)]
    if len(clicks) == 2:
        return list(clicks), float(written.max())
    each = torch.eye(len(clicks), point.weight.shape[1], dtype=torch.bool)
    rest = replace(
        point.some([0] * len(clicks)), weight=point.weight.expand(len(clicks), -1).masked_fill(each, 0)
    )
    residual = rest.fit().residual[:, : len(clicks)]
    worst = residual.nan_to_num(nan=0.0).max(1).values
    wrong = int(worst.argmin())
    if worst[wrong] > limit.max():
        wrong = int(written.argmax())
    return [clicks[wrong]], float(written[wrong])
