import base64
import os
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from samepoint.errors import DataError
from samepoint.viewers.content import Chart, Curve, ReportContent
from samepoint.viewers.palette import DASHES, SERIES, SERIES_DARK
from samepoint.viewers.pictures import data_uri
from samepoint.viewers.report import report_html, write_report

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Every tag is closed in its turn; collects attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [
            value for name, value in attrs if name in ("src", "href", "srcset", "data", "xlink:href")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def test_the_report_stands_alone(content: ReportContent) -> None:
    html = report_html(content)
    found = check(html)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert all(r.startswith(("#", "data:image/jpeg;base64,")) for r in found.references)
    assert all(f'id="{r[1:]}"' in html for r in found.references if r.startswith("#"))


def test_everything_handed_in_is_shown_and_nothing_else_is_run(content: ReportContent) -> None:
    found = check(report_html(content))
    for text in (
        *("mug <script>alert(1)</script>", "36 % of points & more", "35.7 %", "32.1 to 39.4", "12.3 px"),
        *(
            "chance <&>",
            "–",
            "13 pairs",
            "median error 2.8 px",
            "errors 3, 3 px",
            "1.0 px off, confidence 0.90",
        ),
        *(
            "confidence 0.40, truth unknown",
            "photo",
            "9f3ac801",
            "<here>",
            "Worst pairs",
            "Best pairs",
            "Loss again",
        ),
    ):
        assert text in found.text, text
    assert sum(r.startswith("data:") for r in found.references) == 3 * 2 + 3 + 2


def test_pictures_are_the_images_handed_in() -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[..., 0] = np.arange(60) * 4
    image[..., 2] = np.arange(40)[:, None] * 3
    large = image.repeat(20, axis=0).repeat(20, axis=1)
    for shown, size in ((image, (40, 60)), (large, (347, 520))):
        content = data_uri(shown).removeprefix("data:image/jpeg;base64,")
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape[:2] == size
        expected = cv2.resize(shown, size[::-1], interpolation=cv2.INTER_AREA).astype(float)
        assert abs(decoded[..., ::-1] - expected).mean() < 5  # JPEG; a swap of red and blue gives 60


def test_convention_marks_are_in_pixels_with_integers_at_pixel_centres(content: ReportContent) -> None:
    html = report_html(content)
    assert 'viewBox="-0.5 -0.5 32 24"' in html
    assert '<image x="-0.5" y="-0.5" width="32" height="24"' in html
    assert '<circle cx="20.00" cy="10.50"' in html


def test_an_empty_report_is_a_page_without_sections() -> None:
    found = check(report_html(ReportContent("nothing")))
    assert "section" not in found.tags
    assert "nothing" in found.text


@pytest.mark.parametrize("log", [True, False])
def test_charts_survive_every_kind_of_values(log: bool) -> None:
    nan, inf = float("nan"), float("inf")
    for x, y in (
        ((), ()),
        ((1.0,), (5.0,)),
        ((0.0, 1.0), (0.0, 0.0)),
        ((1.0, 2.0, 3.0), (nan, inf, -1.0)),
        ((1.0, 2.0), (nan, nan)),
        (tuple(map(float, range(1, 5000))), tuple(float(i) ** 2 for i in range(1, 5000))),
        ((1.0, 2.0), (1e-9, 1e9)),
    ):
        html = report_html(
            ReportContent("t", training=(Chart("c", "x", "y", (Curve("l", x, y),), log, log),))
        )
        check(html)
        assert "nan" not in html
        assert "inf" not in html.replace("info", "")
        assert len(html) < 40_000


def test_the_report_is_written_whole_or_not_at_all(
    content: ReportContent, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "report.html"
    write_report(path, content)
    before = path.read_bytes()
    assert before.startswith(b"<!doctype html>")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="disk is full"):
        write_report(path, ReportContent("other"))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["report.html"]


def test_convention_curves_differ_in_more_than_colour_and_never_in_red_and_green_alone() -> None:
    assert len(set(DASHES)) == len(DASHES) == len(SERIES) == len(SERIES_DARK)

    def seen(colour: str) -> np.ndarray:
        """What remains for eyes that do not tell red from green: lightness, and blue against yellow."""
        r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return np.array([0.3 * r + 0.6 * g + 0.1 * b, b - (r + g) / 2])

    for series in (SERIES, SERIES_DARK):
        for i, one in enumerate(series):
            for other in series[:i]:
                assert np.linalg.norm(seen(one) - seen(other)) > 20, (one, other)
