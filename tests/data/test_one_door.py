"""Users' text is read through `samepoint.text` and nowhere else: other encodings would end in a traceback again."""

from __future__ import annotations

import ast
from pathlib import Path

import samepoint

SOURCE = Path(samepoint.__file__).parent
DOOR = {"text.py", "reading.py", "files.py"}
OWN = {
    "training/log.py": "metrics.csv, which the same class writes",
    "bench/machine.py": "/proc",
    "bench/memory.py": "/proc",
    "bench/measure.py": "/proc",
}
"""Modules that read no text of users."""


def modules() -> list[str]:
    names = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    return [name for name in names if name not in DOOR and name not in OWN]


def other_doors(source: str) -> list[str]:
    """Calls that read text, as written."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        opens = call == "open" or call.endswith((".open", "fdopen"))
        modes = [
            a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)
        ]
        text = opens and not any(isinstance(m, str) and ("b" in m or "w" in m) for m in modes)
        known = call in ("Image.open", "av.open", "os.open", "trimesh.open")
        reads = call.endswith((".read_text", "json.load", "loadtxt", "genfromtxt", "read_csv"))
        if reads or (text and not known):
            found.append(ast.unparse(node))
    return found


def test_the_search_finds_other_doors() -> None:
    for line in ("path.read_text()", "open(path)", "path.open('r')", "json.load(file)", "np.loadtxt(path)"):
        assert other_doors(line) == [line]
    for line in ("path.open('rb')", "Image.open(path)", "json.loads(text)", "read_text(path)"):
        assert other_doors(line) == []


def test_no_module_reads_text_another_way() -> None:
    wrong = {
        name: found
        for name in modules()
        if (found := other_doors((SOURCE / name).read_text(encoding="utf-8")))
    }
    assert wrong == {}
