"""Where the networks' weights are published, as data."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import StyleTransferError


@dataclass(frozen=True)
class Source:
    """A repository on the hub with a model.safetensors, and torchvision's checkpoint."""

    repo: str
    url: str  # its file name ends in the first digits of its SHA-256
    megabytes: int  # of torchvision's file


# Both hold the same tensors: torchvision's IMAGENET1K_V1, which timm keeps on the hub.
SOURCES = {
    "vgg19": Source("timm/vgg19.tv_in1k", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", 548),
    "vgg16": Source("timm/vgg16.tv_in1k", "https://download.pytorch.org/models/vgg16-397923af.pth", 528),
    "vgg16_bn": Source("timm/vgg16_bn.tv_in1k", "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth", 528),
}


def source_of(network: str) -> Source:
    """The source of a network by name. Raises StyleTransferError for one that cannot be downloaded."""
    if network == "vgg19-caffe":
        raise StyleTransferError(
            "vgg19-caffe is loaded from a local file given with --weights: the original Caffe VGG-19 of Simonyan and"
            " Zisserman, converted to .safetensors or .pth with keys like features.0.weight"
        )
    if network not in SOURCES:
        raise StyleTransferError(f"no weights for {network!r}: choose from builtin, vgg19-caffe, {', '.join(SOURCES)}")
    return SOURCES[network]
