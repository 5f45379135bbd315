import struct
import sys
from fractions import Fraction

import numpy as np
import pytest

from samepoint.data.decode import decode_image
from samepoint.data.quality import QualityFilter
from samepoint.data.readers.photos import read_photos
from samepoint.data.readers.video import all_frames, read_video

av = pytest.importorskip("av")
UNEVEN = (0.5, 0.533, 0.567, 0.9, 1.0, 1.4)
EVERY = QualityFilter(0.0, 0.0)


def write(path, times, codec="mpeg4", **options):
    """A video 64 x 48 with a frame at each time (milliseconds are kept), the k-th of grey 20 k, dark at the top."""
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, time in enumerate(times):
            image = np.full((48, 64, 3), 20 * k % 200 + 50, np.uint8)
            image[:12] = 0
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mpeg4"), ("a.mkv", "h264"), ("a.webm", "libvpx")])
def test_times_are_those_of_the_container(tmp_path, name, codec):
    found = all_frames(write(tmp_path / name, UNEVEN, codec), tmp_path / "cache")
    assert found.times == pytest.approx(UNEVEN, abs=2e-3)
    assert len(found.images) == len(UNEVEN)
    assert found.notes == ()
    shown = [decode_image(image)[30:].mean() for image in found.images]
    assert shown == pytest.approx([50 + 20 * k for k in range(6)], abs=6)


def test_times_of_what_is_kept(tmp_path):
    data = read_video(write(tmp_path / "a.mp4", UNEVEN), tmp_path / "cache", EVERY, 3)
    moments = data.recordings[0].moments
    assert [m.time for m in moments] == pytest.approx([UNEVEN[0], UNEVEN[2], UNEVEN[5]], abs=2e-3)
    assert [m.views[0].image.stem for m in moments] == ["000000", "000002", "000005"]
    assert data.notes == (
        "a.mp4: kept 6 of 6 images (0 blurred, 0 near-duplicates), of these 3 evenly chosen",
    )


def test_without_pyav_an_even_video_has_the_same_times(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", [0.5 + k / 25 for k in range(6)])
    exact = all_frames(path, tmp_path / "exact").times
    monkeypatch.setitem(sys.modules, "av", None)
    assert all_frames(path, tmp_path / "without").times == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {})])
def test_frames_missing_at_the_end_are_said(tmp_path, name, options):
    path = write(tmp_path / name, [k / 30 for k in range(60)], **options)
    whole = all_frames(path, tmp_path / "cache")
    assert (len(whole.images), whole.notes) == (60, ())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    cut = all_frames(path, tmp_path / "cache")
    assert 0 < len(cut.images) < 55
    assert len(cut.notes) == 1
    assert f"{name}: {len(cut.images)} of about 60 frames can be decoded, until " in cut.notes[0]
    assert read_photos(path, cache_dir=tmp_path / "cache").notes[0] == cut.notes[0]


def test_a_long_last_frame_is_not_missing(tmp_path):
    assert all_frames(write(tmp_path / "a.mp4", [0, 0.1, 0.2, 3.0]), tmp_path / "cache").notes == ()


def test_phones_turn_their_videos(tmp_path):
    path = write(tmp_path / "a.mp4", UNEVEN)
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    content = path.read_bytes()
    header = content.index(b"tkhd")
    path.write_bytes(content[:header] + content[header:].replace(upright, turned, 1))
    image = decode_image(all_frames(path, tmp_path / "cache").images[0])
    assert image.shape == (64, 48, 3)  # a quarter turn clockwise: the dark top is at the right
    assert image[:, -10:].mean() < 20 < 40 < image[:, :30].mean()
