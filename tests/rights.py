"""Rights that bind: who runs the tests may be root, who reads everything."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

OVERRIDE = (1 << 1) | (1 << 2)
"""Linux' capabilities to read in spite of rights (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
VERSION = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def bound_by_rights() -> Iterator[None]:
    """The rights of files bind this thread, and those that it starts, as they bind other users. Skips where that
    cannot be had."""
    if not hasattr(os, "geteuid"):
        pytest.skip("rights of files are not those of POSIX here")
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(VERSION, 0), (_Data * 2)()
    if not hasattr(libc, "capget") or libc.capget(ctypes.byref(header), data) != 0:
        pytest.skip("root reads everything here")
    known = data[0].effective
    data[0].effective = known & ~OVERRIDE
    if libc.capset(ctypes.byref(header), data) != 0:
        pytest.skip("root reads everything here")
    try:
        yield
    finally:
        data[0].effective = known
        libc.capset(ctypes.byref(header), data)
