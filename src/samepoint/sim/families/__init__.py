"""Parametric object families. Instances of a family share mesh topology and canonical surface coordinates."""

from __future__ import annotations

from samepoint.errors import DataError, one_of
from samepoint.sim.families.bottle import BOTTLE
from samepoint.sim.families.box import BOX
from samepoint.sim.families.cap import CAP
from samepoint.sim.families.drill import DRILL
from samepoint.sim.families.family import Family, Model
from samepoint.sim.families.mug import MUG
from samepoint.sim.families.plug import PLUG
from samepoint.sim.families.shoe import SHOE
from samepoint.sim.families.socket import SOCKET
from samepoint.sim.families.toy import TOY

FAMILIES: dict[str, Family] = {
    family.name: family for family in (CAP, SHOE, MUG, BOTTLE, BOX, DRILL, PLUG, SOCKET, TOY)
}

__all__ = ["FAMILIES", "Family", "Model", "find_family"]


def find_family(name: str) -> Family:
    """The family of that name, or a DataError that lists them."""
    if name not in FAMILIES:
        raise DataError(one_of("family", name, FAMILIES))
    return FAMILIES[name]
