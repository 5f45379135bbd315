"""The choice of precision follows the device, and is the same every time."""

from __future__ import annotations

import pytest
import torch

from samepoint.models.precision import bfloat16_pays
from samepoint.training.precision import settled
from samepoint.training.settings import TrainingSettings


@pytest.mark.parametrize(("instructions", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, instructions, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert bfloat16_pays("cpu") is instructions
    assert settled(TrainingSettings(precision="auto", device="cpu")) == chosen


def test_other_devices_keep_single_precision():
    assert not bfloat16_pays("mps")


def test_what_is_asked_for_is_kept():
    assert settled(TrainingSettings(precision="16-mixed")) == "16-mixed"
