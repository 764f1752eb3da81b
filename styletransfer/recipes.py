"""Named presets, each a whole Config: our own qualities and published systems.

Recipes of systems that run L-BFGS without a line search have one: without it, their losses were seen to blow up.
`line_search="none"` is the original method.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .config import Config, StyleTransferError

FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
ONE_EACH = (1.0,) * 5
FIFTHS = (0.2,) * 5

# Without our own additions.
_published = partial(Config, nearest_weight=0.0, tv_weight=0.0, preconditioner="none")

# Gatys, Ecker and Bethge 2015, 2016: content 1/2 sum (F-P)^2, the paper's alpha : beta = 1 : 1e3.
GATYS = _published(
    network="vgg19-caffe",
    pooling="average",
    content_layers=("relu4_2",),
    content_norm="sum",
    content_weight=0.5,  # the half of equation 1
    style_layers=FIVE,
    style_layer_weights=FIFTHS,
    style_norm="gatys",
    style_weight=1e3,
    init="noise",
    scales=(1.0,),
    iterations=(500,),
    history=100,
    box=False,
    pixel_range=255,
)

# Keras, examples/neural_style_transfer.py (Chollet 2016): 10 rounds of SciPy's L-BFGS-B with 20 evaluations, here one
# with 200.
KERAS = _published(
    network="vgg19-caffe",
    content_layers=("relu5_2",),
    content_norm="sum",
    content_weight=0.025,
    style_layers=FIVE,
    style_layer_weights=FIFTHS,
    style_norm="picture",
    style_fit="cover",  # the example squeezes the style into the picture's frame, for Gram matrices of one size
    tv="power",
    tv_norm="published",
    tv_weight=1.0,
    scales=(1.0,),
    iterations=(200,),
    max_evaluations=200,
    history=10,
    box=False,
    pixel_range=255,
)

# TensorFlow, "Neural Style Transfer: creating art with deep learning using tf.keras and eager execution" (Yuan 2018).
# The result is the last picture with a measured loss; the tutorial's is one step later.
TENSORFLOW = _published(
    network="vgg19-caffe",
    content_layers=("relu5_2",),
    content_norm="mean",
    content_weight=1e3,
    style_layers=FIVE,
    style_layer_weights=FIFTHS,
    style_norm="mean",
    style_weight=1e-2,
    optimizer="adam",
    learning_rate=5.0,
    beta1=0.99,
    beta2=0.999,
    epsilon=0.1,
    epsilon_form="tensorflow",
    scales=(1.0,),
    iterations=(1000,),
    pixel_range=255,
)

# fast.ai, Deep Learning for Coders part 2 (2018), lesson 13: Gram matrices times 1e6, hence 1e12 on their squares.
FASTAI = _published(
    network="vgg16_bn",
    content_layers=("relu4_3",),
    content_norm="mean",
    content_weight=1e6,
    style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    style_layer_weights=ONE_EACH,
    style_norm="elements",
    style_weight=1e12,
    style_fit="cover",
    init="median",
    scales=(1.0,),
    iterations=(1000,),
    max_evaluations=1000,
    history=100,
    box=False,
)

# ProGamerGov/neural-style-pt; its forerunner jcjohnson/neural-style has tv="l2".
NEURAL_STYLE = _published(
    network="vgg19-caffe",
    content_layers=("relu4_2",),
    content_norm="mean",
    content_weight=5.0,
    style_layers=FIVE,
    style_layer_weights=ONE_EACH,
    style_norm="elements",
    style_weight=100.0,
    tv="l1",
    tv_norm="published",
    tv_weight=1e-3,
    init="mean",
    scales=(1.0,),
    iterations=(1000,),
    max_evaluations=1000,
    history=100,
    box=False,
    pixel_range=255,
)

# crowsonkb/style-transfer-pytorch, head of 2023; its scales are 128 ... 512 by the square root of 2.
CROWSON = _published(
    network="vgg19",
    padding="replicate",
    content_layers=("relu4_2",),
    content_norm="mean",
    content_weight=0.015,
    style_layers=FIVE,
    style_layer_weights=tuple(weight / 341 for weight in (256, 64, 16, 4, 1)),
    style_statistic="wasserstein",
    style_norm="mean",
    tv="nine-point",
    tv_norm="published",
    tv_weight=2.0,
    optimizer="adam",
    learning_rate=0.02,
    beta1=0.9,
    beta2=0.99,
    averaging=0.99,
    scales=(0.25, 0.25 * 2**0.5, 0.5, 0.5 * 2**0.5, 1.0),
    iterations=(1000, 500),
)

RECIPES = {
    "draft": Config(scales=(0.25, 0.5, 0.5, 1.0), iterations=(20, 18, 8, 10)),
    "balanced": Config(),
    # Nearest neighbours at full size are searched three times, for better and better pictures.
    "best": Config(
        scales=(0.25, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0),
        iterations=(80, 60, 20, 40, 10, 10, 10),
        content_weight=0.1,
        nearest_weight=1.0,
    ),
    "gatys": GATYS,
    "keras": KERAS,
    "tensorflow": TENSORFLOW,
    "fastai": FASTAI,
    "fastai-content": replace(FASTAI, content_weight=1e3),  # the lesson's weight for content reconstruction alone
    "neural-style": NEURAL_STYLE,
    "crowson": CROWSON,
}


def recipe(name: str) -> Config:
    """The preset of this name. Raises StyleTransferError for an unknown name."""
    if name not in RECIPES:
        raise StyleTransferError(f"unknown recipe {name!r}: choose from {', '.join(RECIPES)}")
    return RECIPES[name]
