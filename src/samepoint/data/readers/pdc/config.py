"""Data set configurations of pytorch-dense-correspondence: which logs are for training, which for testing.

    single object   {logs_root_path, object_id: shoe, train: [LOG ...], test: [LOG ...]}
    multi object    {logs_root_path, object_id_list: [a, b], train: [LOG ...], test: [LOG ...]}
    composite       {logs_root_path, single_object_scenes_config_files: [FILE ...],
                    multi_object_scenes_config_files: [FILE ...]}

A composite's files lie in single_object/ and multi_object/ beside its folder, or beside itself. The logs root is
logs_root_path: absolute, or relative to the configuration's folder, to one above it, or to the home folder; or a
folder of its last name (logs_proto) in one of these. Not read: evaluation_labeled_data_path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samepoint.data.readers.yaml_mapping import read_mapping
from samepoint.data.recording import Split
from samepoint.errors import DataError

LISTS: tuple[Split, ...] = ("train", "test")
KINDS = ("single_object", "multi_object")
ROOT = "logs_proto"


@dataclass(frozen=True)
class ListedLog:
    """A log that a configuration lists. `family`: its object_id, or those of all its objects ("a+b"), if given."""

    folder: Path
    split: Split
    family: str | None


def read_config(path: Path) -> list[ListedLog]:
    """The logs of a configuration; one listed for training and for testing comes twice, as the lists say.

    DataError for files that are missing or damaged, logs that are not found, and a log listed for two objects.
    """
    content = read_mapping(path)
    listed = list(dict.fromkeys(_listed(path, content)))
    if not listed:
        raise DataError("lists no logs", where=path, mend="list some under train or test")
    families: dict[str, str | None] = {}
    for log, _, family in listed:
        if families.setdefault(log, family) != family:
            what = f"lists {log} for {families[log]} and for {family}"
            raise DataError(what, where=path, mend="list it for one of them")
    root = _logs_root(path, content, list(families))
    for log in families:
        if not (root / log).is_dir():
            mend = f"restore it, or take it off the list in {path.name}"
            raise DataError("this log does not exist", where=root / log, mend=mend)
    return [ListedLog(root / log, split, family) for log, split, family in listed]


def _listed(path: Path, content: dict[Any, Any]) -> Iterator[tuple[str, Split, str | None]]:
    """Log, split and family."""
    keys = {f"{kind}_scenes_config_files": kind for kind in KINDS}
    if not any(key in content for key in keys):
        yield from _listed_alone(path, content)
    for key, kind in keys.items():
        for name in _names(content, key, path):
            member = _member(path, kind, name)
            yield from _listed_alone(member, read_mapping(member))


def _listed_alone(path: Path, content: dict[Any, Any]) -> Iterator[tuple[str, Split, str | None]]:
    if not any(key in content for key in LISTS):
        what = (
            f"is no data set configuration (neither {', '.join(LISTS)} nor single_object_scenes_config_files)"
        )
        raise DataError(what, where=path, mend="give a configuration, a log or a folder of logs")
    alone = content.get("object_id")
    several = _names(content, "object_id_list", path) or ([] if alone is None else [str(alone)])
    for split in LISTS:
        for log in _names(content, split, path):
            yield log, split, "+".join(several) or None


def _names(content: dict[Any, Any], key: str, path: Path) -> list[str]:
    values = content.get(key) or []
    if not isinstance(values, list) or any(v is None or isinstance(v, dict | list) for v in values):
        raise DataError(f"{key} is not a list of names", where=path, mend="write one a line, after a dash")
    return [str(v) for v in values]


def _member(composite: Path, kind: str, name: str) -> Path:
    """A file that a composite names. A composite may have the same name as its member."""
    here = composite.absolute().parent
    places = [here.parent / kind, here / kind, here.parent, here]
    for place in places:
        if (place / name).is_file() and place / name != composite.absolute():
            return place / name
    mend = f"put it into {places[0]} or beside the composite"
    raise DataError(f"names {name}, which is not there", where=composite, mend=mend)


def _logs_root(path: Path, content: dict[Any, Any], logs: list[str]) -> Path:
    """The first place where one of the logs is."""
    named = Path(str(content.get("logs_root_path") or ROOT))
    bases = path.absolute().parents
    places = [base / named for base in (*bases, Path(os.path.expanduser("~")))]
    places += [base / named.name for base in bases] + [path.absolute().parent]
    for place in places:
        if any((place / log).is_dir() for log in logs):
            return place
    mend = "set logs_root_path to the folder that holds them"
    raise DataError(f"its logs ({logs[0]} ...) are not found under {named}", where=path, mend=mend)
