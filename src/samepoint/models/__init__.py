"""Descriptor networks: an image in, a low-resolution map of descriptors with its place in the image out."""

from samepoint.models.network import DescriptorNetwork, NetworkConfig
from samepoint.models.registry import NETWORKS, network_config
from samepoint.models.weights import load_network, save_network

__all__ = [
    "NETWORKS",
    "DescriptorNetwork",
    "NetworkConfig",
    "load_network",
    "network_config",
    "save_network",
]
