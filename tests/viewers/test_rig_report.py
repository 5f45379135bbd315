"""The report of a run with named 3-D keypoints shows what it is handed, and nothing else."""

import numpy as np
import pytest
from PIL import Image
from tests.viewers.test_report import check

from samepoint.inference.examples import TargetPicture
from samepoint.viewers.content import (
    Chart,
    Column,
    Curve,
    HeatPictures,
    Interval,
    MomentPicture,
    ResultRow,
    Results,
    RigReportContent,
    ViewPicture,
)
from samepoint.viewers.moment_pictures import draw_moments
from samepoint.viewers.rig_report import rig_report_html, write_rig_report


@pytest.fixture
def moment(image):
    first = ViewPicture("left <cam>", image, {1: (20.0, 10.5), 2: (3.0, 4.0)}, {1: (21.0, 12.0)})
    second = ViewPicture("right", image, {}, {2: (5.0, 6.25)})
    return MomentPicture((first, second), "test/000 <&>", "median error 2.5 mm")


@pytest.fixture
def rig_content(image, moment):
    columns = (Column("mm_95", "95 %", "mm", "lower"), Column("found", "found", "share", "higher"))
    rows = (
        ResultRow("mode, refined", {"mm_95": Interval(1.234), "found": Interval(0.5)}),
        ResultRow("chance", {}, True),
    )
    heat = np.zeros((24, 32), np.float32)
    target = TargetPicture(image, heat, (20.0, 10.0), 0.75, (19.0, 10.0), 1.0, "left")
    return RigReportContent(
        title="cell <script>alert(1)</script>",
        summary="half of these & more",
        warnings=("they have collapsed into <one> place",),
        results=Results(columns, rows, "5 moments"),
        by_keypoint=Results(columns, rows[:1]),
        names=("plug <tip>", "socket"),
        worst=(moment, moment),
        best=(moment,),
        heats=(HeatPictures("plug <tip>", (target, target)),),
        heat_note="Of the worst moment.",
        training=(Chart("Loss", "step", "loss", (Curve("labelled", (1.0, 2.0), (3.0, 1.0)),)),),
        facts={"recipe": {"sigma": "2.0"}},
    )


def test_everything_handed_in_is_shown_and_nothing_else_is_run(rig_content):
    html = rig_report_html(rig_content)
    found = check(html)
    for text in (
        *("cell <script>alert(1)</script>", "half of these & more", "they have collapsed into <one> place"),
        *("mode, refined", "1.23 mm", "50.0 %", "chance", "–", "5 moments", "1 plug <tip>, 2 socket"),
        *("left <cam>", "right", "test/000 <&>", "median error 2.5 mm", "Of the worst moment."),
        *("left: 1.0 px off, confidence 0.75", "sigma", "Worst moments", "Best moments", "Loss"),
    ):
        assert text in found.text, text
    assert sum(r.startswith("data:image/jpeg;base64,") for r in found.references) == 3 * 2 + 2
    assert all(r.startswith(("#", "data:image/jpeg;base64,")) for r in found.references)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)


def test_convention_rings_are_true_and_crosses_found_in_pixels_of_the_image(rig_content):
    html = rig_report_html(rig_content)
    assert '<circle cx="20.00" cy="10.50"' in html
    assert '<line x1="20.00" y1="10.50" x2="21.00" y2="12.00"' in html
    assert html.count("<circle") == 2 * (2 * 3 + 2 + 3)  # dark edge and colour; three legends
    assert "</svg><figcaption>left &lt;cam&gt;" in html


def test_an_empty_report_is_a_page_without_sections(tmp_path):
    write_rig_report(tmp_path / "report.html", RigReportContent("nothing"))
    found = check((tmp_path / "report.html").read_text())
    assert "section" not in found.tags
    assert "nothing" in found.text


def test_moments_are_rows_of_views(moment, tmp_path):
    draw_moments(tmp_path / "moments.png", [moment, moment])
    drawn = np.array(Image.open(tmp_path / "moments.png").convert("RGB"))
    assert drawn.shape[1] == 460  # two views of 2.3 inches
    assert drawn.shape[0] == pytest.approx(100 * (2 * (0.28 + 2.3 * 24 / 32) + 0.42), abs=1)
    assert (drawn[2:26] == 255).mean() > 0.5  # text on white above the images
    blue = (drawn == (0x56, 0xB4, 0xE9)).all(-1)
    assert blue[28:200, :230].sum() > 20  # rings in the left view alone
    assert not blue[28:200, 230:].any()
