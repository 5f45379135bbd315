"""The choice of precision follows the clock."""

from __future__ import annotations

import pytest
import torch

from samepoint.training import precision
from samepoint.training.settings import TrainingSettings


@pytest.mark.parametrize(("bfloat16", "chosen"), [(1.0, "bf16-mixed"), (3.9, "32-true"), (9.0, "32-true")])
def test_bfloat16_where_it_is_clearly_faster(monkeypatch, bfloat16, chosen):
    monkeypatch.setattr(precision, "_seconds", lambda dtype: bfloat16 if dtype == torch.bfloat16 else 4.0)
    assert precision.settled(TrainingSettings(precision="auto", device="cpu")) == chosen


def test_what_is_asked_for_is_kept():
    assert precision.settled(TrainingSettings(precision="16-mixed")) == "16-mixed"
    assert precision._seconds(torch.float32) > 0
