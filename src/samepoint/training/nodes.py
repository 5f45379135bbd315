"""Training on several machines: which of them this is, and where the first one is reached.

The same command runs once on each machine (node), by hand, by torchrun or by SLURM; each starts a process for each of
its devices. Who starts it says in environment variables which node this is:

    by hand     NODE_RANK (0 is the first), MASTER_ADDR and MASTER_PORT of the first
    torchrun    --nnodes N --nproc-per-node 1 sets GROUP_RANK, MASTER_ADDR and MASTER_PORT
    SLURM       srun --nodes N --ntasks-per-node 1 sets SLURM_NODEID; address and port follow from the job
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lightning.fabric.plugins.environments import SLURMEnvironment

from samepoint.errors import RunError

HOW = (
    "start the command once on each node with NODE_RANK, MASTER_ADDR and MASTER_PORT, or by torchrun or srun"
)


def node_rank(nodes: int) -> int:
    """Which of `nodes` this is, from 0; their meeting place is in MASTER_ADDR and MASTER_PORT afterwards.

    RunError where the environment does not say, or says something else than `nodes`.
    """
    if nodes == 1:
        return 0
    variables = os.environ
    if "SLURM_NODEID" in variables and "NODE_RANK" not in variables and "GROUP_RANK" not in variables:
        _agrees(variables, "SLURM_NNODES", nodes, "srun --nodes")
        _agrees(variables, "SLURM_NTASKS", nodes, "one task a node: srun --ntasks-per-node 1, not")
        listed = variables.get("SLURM_NODELIST") or variables.get("SLURM_JOB_NODELIST", "127.0.0.1")
        variables.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(listed))
        variables.setdefault("MASTER_PORT", str(15_000 + int(variables.get("SLURM_JOB_ID", "0")[-4:])))
        return _number(variables, "SLURM_NODEID", nodes)
    _agrees(variables, "GROUP_WORLD_SIZE", nodes, "torchrun --nnodes")
    _agrees(
        variables,
        "LOCAL_WORLD_SIZE",
        1,
        "--devices starts the processes of a node: torchrun --nproc-per-node 1, not",
    )
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not variables.get(name):
            raise RunError(f"--nodes {nodes} needs {name} of the first node", mend=HOW)
    return _number(variables, "NODE_RANK" if "NODE_RANK" in variables else "GROUP_RANK", nodes)


def _number(variables: Mapping[str, str], name: str, nodes: int) -> int:
    said = variables.get(name, "")
    if not said.isdigit() or int(said) >= nodes:
        what = (
            f"{name} is {said!r}, not a node of 0 to {nodes - 1}"
            if said
            else f"--nodes {nodes} needs NODE_RANK"
        )
        raise RunError(what, mend=HOW)
    return int(said)


def _agrees(variables: Mapping[str, str], name: str, wanted: int, option: str) -> None:
    said = variables.get(name)
    if said is not None and said != str(wanted):
        raise RunError(f"{name} is {said}, but {wanted} was expected ({option} {said})", mend=HOW)
