"""Work shared out to processes that draw: each with a GL context of its own, one thread each."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch

from samepoint.errors import DataError
from samepoint.sim.renderer import load_mujoco

Job = TypeVar("Job")
Result = TypeVar("Result")


def work(
    render: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    where: Path,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Does all jobs, yielding what each returns as it is done; `meanwhile` is called once the workers have started.

    `render` and jobs must be picklable. `where` is named if a worker dies.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        if meanwhile is not None:
            meanwhile()
        yield from map(render, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet) as executor:
        try:
            futures = [executor.submit(render, job) for job in jobs]
            if meanwhile is not None:
                meanwhile()
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            mend = 'in a script, call it below `if __name__ == "__main__":`; or set workers to 1'
            raise DataError("the renderer's worker processes died", where=where, mend=mend) from error
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


@lru_cache(maxsize=1)
def graphics() -> tuple[ModuleType, Any]:
    """MuJoCo and one GL context a process."""
    mujoco = load_mujoco()
    from mujoco import gl_context

    context = gl_context.GLContext(64, 64)
    atexit.register(context.free)
    return mujoco, context


def _quiet() -> None:
    """Workers share the cores: one thread each."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    torch.set_num_threads(1)
