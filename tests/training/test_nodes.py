"""Several machines train as one. Two processes on this one stand for two nodes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from samepoint.errors import RunError
from samepoint.training.nodes import node_rank
from samepoint.training.processes import on_devices
from samepoint.training.settings import TrainingSettings

NAMES = ("NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_NODEID", "SLURM_NNODES", "SLURM_NTASKS", "SLURM_NODELIST", "SLURM_JOB_ID")


@pytest.fixture(autouse=True)
def nobody_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *SLURM):
        monkeypatch.setenv(name, "")  # put back what the test sets
        monkeypatch.delenv(name)


def said(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def test_one_node_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert node_rank(1) == 0
    said(monkeypatch, NODE_RANK=5)
    assert node_rank(1) == 0


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, NODE_RANK=1, MASTER_ADDR="first", MASTER_PORT=29500)
    assert node_rank(2) == 1


def test_by_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    said(
        monkeypatch, GROUP_RANK=1, GROUP_WORLD_SIZE=2, LOCAL_WORLD_SIZE=1, MASTER_ADDR="first", MASTER_PORT=1
    )
    assert node_rank(2) == 1
    with pytest.raises(RunError, match=r"GROUP_WORLD_SIZE is 2, but 3 was expected \(torchrun --nnodes 2\)"):
        node_rank(3)
    said(monkeypatch, LOCAL_WORLD_SIZE=4)
    with pytest.raises(RunError, match="--nproc-per-node 1, not 4"):
        node_rank(2)


def test_by_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, SLURM_NODEID=1, SLURM_NNODES=2, SLURM_NTASKS=2)
    said(monkeypatch, SLURM_NODELIST="gpu[3-4]", SLURM_JOB_ID=71234)
    assert node_rank(2) == 1
    assert os.environ["MASTER_ADDR"] == "gpu3"
    assert 10_000 < int(os.environ["MASTER_PORT"]) < 65_536
    said(monkeypatch, SLURM_NTASKS=8)
    with pytest.raises(RunError, match="--ntasks-per-node 1, not 8"):
        node_rank(2)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "--nodes 2 needs MASTER_ADDR of the first node; start the command once on each node"),
        ({"MASTER_ADDR": "first"}, "--nodes 2 needs MASTER_PORT"),
        ({"MASTER_ADDR": "first", "MASTER_PORT": 1}, "--nodes 2 needs NODE_RANK"),
        (
            {"MASTER_ADDR": "first", "MASTER_PORT": 1, "NODE_RANK": 2},
            "NODE_RANK is '2', not a node of 0 to 1",
        ),
    ],
)
def test_what_is_not_said(monkeypatch: pytest.MonkeyPatch, variables: dict, message: str) -> None:
    said(monkeypatch, **variables)
    with pytest.raises(RunError, match=message):
        node_rank(2)


def meet(fabric) -> list[float]:
    total = fabric.all_reduce(torch.tensor(float(fabric.global_rank + 1)), reduce_op="sum")
    return [fabric.global_rank, fabric.world_size, float(total)]


def as_a_node() -> None:
    """What a node does, in a process of its own."""
    settings = TrainingSettings(nodes=2, device="cpu", precision="32-true")
    print(json.dumps(on_devices(settings, meet)))


@pytest.mark.slow
def test_two_nodes_meet() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "if __name__ == '__main__':\n    from tests.training.test_nodes import as_a_node\n    as_a_node()"
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"NODE_RANK": str(k), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    try:
        found = [json.loads(node.communicate(timeout=900)[0].splitlines()[-1]) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert found == [[0, 2, 3.0], [1, 2, 3.0]]
