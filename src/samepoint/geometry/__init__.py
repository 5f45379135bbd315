"""Pixels, cameras, rigid motions, alignment, triangulation and warps: batched tensors in, tensors out."""
