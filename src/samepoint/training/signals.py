"""What SIGTERM and Ctrl-C do while a training runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `handler` with their number inside; only the main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda got, _: handler(got)) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
