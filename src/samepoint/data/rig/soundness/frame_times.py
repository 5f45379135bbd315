"""Whether frames that were paired by their times are of one moment, or rather those of one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from samepoint.data.doctor.findings import Finding
from samepoint.data.natural_order import natural_key
from samepoint.data.recording import Moment, Recording
from samepoint.data.rig.soundness.calibration import DOUBTFUL, FEW
from samepoint.data.rig.soundness.causes import FACTOR
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import Group, points_of
from samepoint.data.rig.soundness.misfit import Misfit, misfit

CHECK = "frame times"


def check_frame_times(recording: Recording, made: Sequence[Group]) -> Finding | None:
    """A fault if clicks (`made`: by the point they make) fit badly, and far better if frames of one number were one
    moment: then some times are wrong, and not the calibration. None where frames are paired by number, or clicks fit.
    """
    other = by_number(recording)
    written = _misfit(recording, made) if other is not None else None
    if other is None or written is None or written.score <= DOUBTFUL:
        return None
    numbered = _misfit(other, points_of(other)[0])
    if numbered is None or numbered.score * FACTOR > min(written.score, 1.0):
        return None
    moved = sorted({camera for moment in recording.moments for camera in moment.frames})
    sentence = (
        f"clicks in {written.camera} are {written.pixels:.3g} px (median) from where their points project with frames"
        f" paired by their times (not by number: {', '.join(moved)}); by number at most {numbered.pixels:.2g} px"
    )
    mend = 'the times are wrong: write pair_by = "number" under [metadata] in calibration.toml'
    return Finding(CHECK, "fault", sentence, mend)


def _misfit(recording: Recording, made: Sequence[Group]) -> Misfit | None:
    return misfit(Evidence.of(recording, made)) if len(made) >= FEW else None


def by_number(recording: Recording) -> Recording | None:
    """The recording with frames (and clicks on them) of one name as moments; None if that is how it is."""
    if not any(moment.frames for moment in recording.moments):
        return None
    together: dict[str, Moment] = {}
    for moment in recording.moments:
        for view in moment.views:
            name = moment.frames.get(view.camera, str(moment.name))
            mine = together.get(name, Moment((), name=name))
            clicks = {**mine.clicks, view.camera: moment.clicks.get(view.camera, {})}
            together[name] = replace(mine, views=(*mine.views, view), clicks=clicks)
    moments = tuple(together[name] for name in sorted(together, key=natural_key))
    return replace(recording, moments=moments, still=())
