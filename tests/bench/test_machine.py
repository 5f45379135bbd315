"""What results are stamped with."""

import json
import subprocess

import pytest

from samepoint import revision
from samepoint.bench import machine
from samepoint.errors import RunError


def run_folder(path, **config):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"training": {}, **config}))
    return path


def test_a_result_names_its_trainings(tmp_path):
    """Each commit and command once, also of runs that lie deeper; older runs say nothing."""
    for name in ("one", "two/seed-0"):
        run_folder(
            tmp_path / name, commit="abc", command="samepoint train don --data /home/me/cups --out one"
        )
    run_folder(tmp_path / "old")
    (tmp_path / "old" / "data").mkdir()
    (tmp_path / "old" / "data" / "config.json").write_text("{}")
    head = machine.provenance("python x.py", runs=[tmp_path])
    by_commit = {one["commit"]: one["command"] for one in head["training"]}
    assert len(head["training"]) == 2
    assert by_commit == {None: None, "abc": "samepoint train don --data cups --out one"}
    assert {"command", "commit", "machine"} < head.keys()
    assert "training" not in machine.provenance("python x.py")


def test_uncommitted_code_makes_no_published_result(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "RESULTS", tmp_path / "results")
    published = tmp_path / "results" / "table.json"
    monkeypatch.setattr(machine, "commit", lambda: "abc+")
    with pytest.raises(RunError, match="differs from its commit"):
        machine.provenance("python x.py", published)
    assert machine.provenance("python x.py", tmp_path / "mine.json")["commit"] == "abc+"
    monkeypatch.setattr(machine, "commit", lambda: "abc")
    assert machine.provenance("python x.py", published)["commit"] == "abc"
    loose = run_folder(tmp_path / "run", commit="def+", command="train")
    with pytest.raises(RunError, match="differs from its commit"):
        machine.provenance("python x.py", published, runs=[loose])


def test_the_commit_of_a_checkout(tmp_path, monkeypatch):
    """A "+" as soon as tracked code differs; the version where the package lies in another's checkout."""

    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    package = tmp_path / "src" / "samepoint"
    package.mkdir(parents=True)
    (tmp_path / "benchmarks").mkdir()
    (package / "revision.py").write_text("one")
    (tmp_path / "README.md").write_text("one")
    monkeypatch.setattr(revision, "HERE", package)
    assert revision.commit().startswith("version ")
    git("init", "-q")
    git("add", "README.md")
    git("commit", "-qm", "another project")
    assert revision.commit().startswith("version ")
    git("add", ".")
    git("commit", "-qm", "ours")
    clean = revision.commit()
    assert len(clean) == 40
    (tmp_path / "README.md").write_text("two")
    assert revision.commit() == clean
    (package / "revision.py").write_text("two")
    assert revision.commit() == clean + "+"
