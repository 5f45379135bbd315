"""Where networks run faster in bfloat16."""

from __future__ import annotations

import torch


def bfloat16_pays(device: torch.device | str) -> bool:
    """Whether the device has instructions for bfloat16: recent GPUs, processors with AVX-512 BF16 or AMX.

    There a ResNet takes half the time or less; a processor without them emulates it slowly.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return kind == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names)
