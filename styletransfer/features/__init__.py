"""Feature networks: their designs as data, the modules that compute, and which one a run uses."""

from .choice import choose_device, choose_dtype, choose_network, load_network, wanted_layers
from .designs import (
    DESIGNS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Design,
    Factored,
    Width,
    channels_of,
    compact_design,
    compact_heads,
    layer_names,
    whole_layers,
)
from .network import FactoredConv2d, Network

__all__ = [
    "DESIGNS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Design",
    "Factored",
    "FactoredConv2d",
    "Network",
    "Width",
    "channels_of",
    "choose_device",
    "choose_dtype",
    "choose_network",
    "compact_design",
    "compact_heads",
    "layer_names",
    "load_network",
    "wanted_layers",
    "whole_layers",
]
