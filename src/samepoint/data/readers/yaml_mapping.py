"""YAML side files, read with a clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.text import read_text


def read_mapping(path: Path) -> dict[Any, Any]:
    """The content of a YAML file of keys and values, or a DataError that says where it breaks."""
    yaml = package("yaml", "reading YAML files", install="PyYAML")
    text = read_text(path)
    try:
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"is not valid YAML ({line})", where=path, mend="write it again") from error
    if not isinstance(content, dict):
        raise DataError("holds no keys and values", where=path, mend="write it again")
    return content
