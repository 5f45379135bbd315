"""Small pairs files whose answers are known."""

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.pairs import Pair, read_pairs, write_pairs

N = 12


@pytest.fixture
def make_pairs(tmp_path):
    """A function that writes a pairs file of `number` pairs with N points; B is A moved by (6, 3) pixels."""

    def make(number=4, **extra):
        generator = torch.Generator().manual_seed(number)
        pairs = []
        for i in range(number):
            paths = (tmp_path / f"a{i}.png", tmp_path / f"b{i}.png")
            for path, size in zip(paths, ((60, 80), (64, 96))):
                noise = np.random.default_rng(i).integers(0, 255, (*size, 3), dtype=np.uint8)
                Image.fromarray(noise).save(path)
            uv = torch.rand(N, 2, generator=generator) * torch.tensor([70.0, 50.0])
            own = {name: value(i) if callable(value) else value for name, value in extra.items()}
            pairs.append(Pair(*paths, uv, uv + torch.tensor([6.0, 3.0]), **own))
        write_pairs(tmp_path / "pairs.json", pairs)
        return read_pairs(tmp_path / "pairs.json")

    return make
