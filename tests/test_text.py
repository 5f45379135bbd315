"""Text as people's editors write it, told by what `read_text` makes of it; what is no text is named as what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.reading import entries, explain_unreadable, matching, walk
from samepoint.tables import decimal_point, read_rows
from samepoint.text import named_file, read_lines, read_numbers, read_text, read_toml, slashed

TEXT = "Größe 1.png\nGröße 2.png\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
def test_text_in_any_encoding_is_the_same(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert read_text(path) == TEXT
    assert read_lines(path) == ["Größe 1.png", "Größe 2.png"]


def test_big_endian_with_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    assert read_text(path) == TEXT


def test_a_guessed_encoding_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(TEXT.encode("cp1252"))
    read_text(path)
    read_text(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: is not UTF-8, taken as Windows-1252 (Western European)"
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (POINTER.encode(), "is a pointer of Git LFS, not the file itself; run: git lfs pull"),
        (b"../../.git/annex/objects/aB/Cd/MD5E-s1.txt", "is a pointer of git-annex"),
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", r"is a web page \(HTML\)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(200)), "cannot be read as text"),
    ],
)
def test_what_stands_in_a_files_place_is_named(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=line):
        read_json(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this file does not exist"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_text(tmp_path)
    (tmp_path / "link").symlink_to("gone.txt")
    with pytest.raises(DataError, match=r"is a link to gone\.txt, which does not exist"):
        read_text(tmp_path / "link")
    with pytest.raises(DataError, match="too long"):
        read_text(tmp_path / ("n" * 300))
    with pytest.raises(DataError, match="cannot be read"):
        read_text(Path("a\0b"))


@pytest.mark.usefixtures("rights_bind")
def test_a_file_without_the_right_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "poses.txt"
    path.write_text("1 0 0 0")
    path.chmod(0)
    with pytest.raises(DataError, match=rf"^{path}: may not be read \(permission denied\); .*chmod"):
        read_text(path)
    explained = explain_unreadable(path)
    assert explained is not None
    assert "permission denied" in str(explained)


def test_nothing_is_known_of_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"no image")
    assert explain_unreadable(path) is None
    path.write_text(POINTER)
    assert "git lfs pull" in str(explain_unreadable(path))
    assert "is a folder" in str(explain_unreadable(tmp_path))


def test_json_and_toml_from_windows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('{"name": "Größe"}\r\n'.encode("utf-8-sig"))
    assert read_json(tmp_path / "a.json") == {"name": "Größe"}
    (tmp_path / "a.toml").write_bytes('name = "Größe"\r\n'.encode("utf-16"))
    assert read_toml(tmp_path / "a.toml") == {"name": "Größe"}
    (tmp_path / "a.toml").write_text("name = ")
    with pytest.raises(DataError, match="is not valid TOML"):
        read_toml(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff1 2.5\r\n3 -4\r\n",
        "1, 2.5\n3, -4",
        "1;2,5\n3;-4",
        "1 2,5\n3 -4,0",
        "[[1, 2.5], [3, -4]]",
        "1\t2.5\t3\t-4",
        "1,2.5,3,-4",
    ],
)
def test_numbers_apart_by_whatever(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pose.txt"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_numbers(path, 4), [1, 2.5, 3, -4])


def test_numbers_that_are_unknown_or_wrong(tmp_path: Path) -> None:
    path = tmp_path / "pose.txt"
    path.write_text("nan -inf -1.#IND 1.#INF")
    np.testing.assert_array_equal(read_numbers(path, 4), [np.nan, -np.inf, np.nan, np.inf])
    with pytest.raises(DataError, match="has 4 numbers, not 16"):
        read_numbers(path, 16)
    path.write_text("1 two 3 4")
    with pytest.raises(DataError, match="holds 'two' among its numbers"):
        read_numbers(path, 4)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("name,u,v\nrim, 29.3,40\n", ","),
        ("name;u;v\r\nrim;29,3;40\r\n", ";"),
        ("sep=;\nname;u;v\nrim;29,3;40\n", ";"),
        ("name\tu\tv\nrim\t29,3\t40\n", "\t"),
        ("name u v\nrim  29.3 40\n", " "),
        ('name,u,v\nrim,"29,3",40\n', ","),
        ("\nName, U ,V,,\n\nrim,29.3,40,,\n,,\n", ","),
    ],
)
def test_tables_however_they_were_saved(tmp_path: Path, text: str, separator: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    table = read_rows(path)
    ((where, row),) = table.rows
    assert [table.column(name) for name in ("name", "u", "v", "w")] == [0, 1, 2, None]
    assert [row[0], *(float(decimal_point(field, table)) for field in row[1:])] == ["rim", 29.3, 40]
    assert table.separator == separator
    lines = text.split("\n")
    assert where == f"{path}, line {next(i + 1 for i, line in enumerate(lines) if 'rim' in line)}"


def test_a_comma_that_may_mark_thousands_is_no_decimal_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('u,v\n"1,234","29,31"\n')
    table = read_rows(path)
    assert [decimal_point(field, table) for field in table.rows[0][1]] == ["1,234", "29.31"]
    path.write_text("u;v\n1,234;29,31\n")
    table = read_rows(path)
    assert [decimal_point(field, table) for field in table.rows[0][1]] == ["1.234", "29.31"]


def test_names_from_other_systems(tmp_path: Path) -> None:
    (tmp_path / "color").mkdir()
    path = tmp_path / "color" / "Größe.png"  # as one character each
    path.touch()
    assert slashed(' "color\\a b.png" ') == "color/a b.png"
    for name in ("color/Größe.png", "color\\Größe.png", ".\\color\\GRÖßE.PNG", "color/Gro\u0308ße.png "):
        assert named_file(tmp_path, name) == path or named_file(tmp_path, name).samefile(path)
    assert named_file(tmp_path, "color/other.png") is None
    assert named_file(tmp_path, "") is None
    (tmp_path / "color" / "GRößE.png").touch()
    assert named_file(tmp_path, "color/GRÖßE.PNG") is None  # two would fit


@pytest.mark.usefixtures("rights_bind")
def test_a_file_in_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    path = tmp_path / "locked" / "scene" / "poses.txt"
    path.parent.mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    with pytest.raises(DataError, match=rf"^{tmp_path / 'locked'}: may not be read"):
        read_text(path)


@pytest.mark.usefixtures("rights_bind")
def test_folders_that_may_not_be_read_are_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a/b", "closed", "locked", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.png").touch()
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "locked").chmod(0)
    (tmp_path / "closed").chmod(0o600)  # it can be listed, but what lies in it not be looked at
    assert entries(tmp_path) == [tmp_path / "a"]
    assert [folder for folder, _ in walk(tmp_path)] == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: this folder may not be read (permission denied) and is passed over"
        for name in ("closed", "locked")
    ]
    with pytest.raises(DataError, match="may not be read"):
        entries(tmp_path / "locked")
    assert entries(tmp_path / "none") == []


def test_a_link_further_down_does_not_take_a_folders_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b")
    assert [folder for folder, _ in walk(tmp_path)] == [tmp_path, tmp_path / "a", tmp_path / "b"]


@pytest.mark.usefixtures("rights_bind")
def test_patterns_name_folders_that_may_not_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scene.json").touch()
    (tmp_path / "b").chmod(0)
    assert matching(tmp_path, "*/scene.json") == [
        tmp_path / "a" / "scene.json",
        tmp_path / "c" / "scene.json",
    ]
    assert f"{tmp_path / 'b'}: this folder may not be read" in caplog.text
    assert matching(tmp_path, "none/*.json") == []
    with pytest.raises(DataError, match="may not be read"):
        matching(tmp_path / "b", "*.json")
