"""One process a device: data-parallel training on several GPUs, or on the cores of a CPU.

On a CPU two processes with one thread each can do half as much again as one process with two threads: small
networks spend much of a step in operations too short to share between threads.
"""

from __future__ import annotations

import inspect
import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessException
from torch.nn.parallel import DistributedDataParallel

from samepoint.errors import RunError, SamepointError
from samepoint.training.nodes import node_rank
from samepoint.training.precision import settled
from samepoint.training.settings import TrainingSettings
from samepoint.training.signals import stop_signals

# each process would announce itself on the terminal, over the progress line (as the one or the other: that depends on
# what else is imported)
for name in ("lightning.fabric", "lightning.pytorch"):
    logging.getLogger(name).setLevel(logging.WARNING)


def on_devices(settings: TrainingSettings, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(fabric, *arguments)` in a process for each of `settings.devices`; what the first one returned.

    With several `settings.nodes` each of them runs this, and each gets what its own first process returned. With
    several devices function and arguments must be picklable, and the result small: it goes through a
    pipe. On a CPU the cores are shared out evenly. Raises what the function raised; RunError if a process died
    or there are not so many devices.
    """
    node_rank(settings.nodes)
    fabric = make_fabric(settings)
    if settings.devices == settings.nodes == 1:
        fabric.launch()
        return function(fabric, *arguments)
    try:
        with stop_signals(_pass_on):
            # as bytes, because tensors would arrive in memory that the processes share and overwrite; bound
            # to the function, because Fabric walks through whatever it takes for a collection
            outcome = fabric.launch(
                partial(_answer, call=pickle.dumps((function, arguments)), here=settings.devices)
            )
    except ProcessException as error:
        last = str(error).strip().splitlines()[-1]
        line = f"process {error.error_index} of the training failed ({last})"
        raise RunError(line, mend="the last checkpoint is intact; go on with --resume") from error
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def make_fabric(settings: TrainingSettings) -> Fabric:
    """Devices and precision as set. RunError where there are none such."""
    strategy: str | DDPStrategy = "auto"
    environment: LightningEnvironment | None = None
    if settings.devices > 1 or settings.nodes > 1:
        strategy = DDPStrategy(start_method="spawn", **own_buffers())
        environment = LightningEnvironment()  # whoever started this process starts no others
    try:
        return Fabric(
            accelerator=settings.device,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy=strategy,
            plugins=environment,
            precision=settled(settings),
        )
    except (RuntimeError, ValueError) as error:
        line = f"{settings.devices} devices of kind {settings.device!r} are not to be had ({error})"
        raise RunError(line, mend="give another --device or fewer --devices") from error


def own_buffers() -> dict[str, Any]:
    """For DistributedDataParallel: each process keeps its own batch statistics (those of the first are saved). The
    argument has another name before PyTorch 2.13."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}


def _answer(fabric: Fabric, call: bytes, here: int) -> Any:
    """In each process: the result, or what the user should read, which the first process hands back."""
    if fabric.device.type == "cpu":
        torch.set_num_threads(max(1, available_cores() // here))
    function, arguments = pickle.loads(call)
    try:
        return function(fabric, *arguments)
    except (SamepointError, KeyboardInterrupt) as error:
        return error


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pass_on(number: int) -> None:
    """SIGTERM goes to the processes, which write their checkpoint and end; this one waits for them.

    Ctrl-C reaches them anyway: a terminal sends it to the whole group.
    """
    if number == signal.SIGTERM:
        for process in multiprocessing.active_children():
            process.terminate()
