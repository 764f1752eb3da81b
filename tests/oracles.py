"""What the package is compared with: the published formulas in plain float64, written without a look at the package.

A feature map here is (C, h, w) and a picture (3, H, W), both without the batch axis; autograd of these plain sums is
the oracle of every gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.features import Design, Network
from styletransfer.losses import content_scale, squared_error
from styletransfer.weights import Weights

FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SMALL = (4, 4, "M", 6, 6, "M", 8, 8, 8, 8, "M", 8, 8, 8, 8, "M", 8, 8, 8, 8)
SMALL_16 = (4, 4, "M", 6, 6, "M", 8, 8, 8, "M", 8, 8, 8, "M", 8, 8, 8)

Maps = Mapping[str, Tensor]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Uniform in [0, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def relative_error(result: Tensor, wanted: Tensor) -> float:
    """|found - wanted| / |wanted|."""
    return float((result.double() - wanted).norm() / wanted.norm())


# --- networks


def random_network(
    design: Design, layers: Sequence[str], dtype: torch.dtype = torch.float64, **options: str
) -> Network:
    """A network of seeded random weights that keep the scale of what passes through; batch norm has seen something."""
    network = Network("random", design, layers, **options)
    return network.load(Weights(random_tensors(network.shapes()), "", "")).to_working(torch.device("cpu"), dtype)


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in shapes.items():
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if len(shape) == 4:
            values *= (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
        elif key.endswith("running_var"):
            values = values.square() + 0.5
        tensors[key] = values / 4 if key.endswith("bias") else values
    return tensors


def vgg(
    tensors: Maps,
    design: Design,
    picture: Tensor,
    pool: Callable[..., Tensor] = F.max_pool2d,
    padding: str = "constant",
) -> dict[str, Tensor]:
    """Conv and relu maps of a VGG for a normalised picture, as deep as it has weights; `conv` is after batch norm."""
    maps, x, index, block, number = {}, picture[None], 0, 1, 0
    for width in design.widths:
        if width == "M":
            x, index, block, number = pool(x, 2), index + 1, block + 1, 0
            continue
        number += 1
        if width == 0:  # left out, in a compact network
            index += 2
            continue
        if f"features.{index}.weight" not in tensors:  # the network was cut here
            break
        x = F.pad(x, (1, 1, 1, 1), padding if index == 0 else "constant")
        x = F.conv2d(x, tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"])
        if design.batch_norm:
            index += 1
            gain, bias, mean, var = (
                tensors[f"features.{index}.{name}"][:, None, None]
                for name in ("weight", "bias", "running_mean", "running_var")
            )
            x = (x - mean) / (var + 1e-5).sqrt() * gain + bias
        maps[f"conv{block}_{number}"] = x[0]
        x = x.clamp_min(0)
        maps[f"relu{block}_{number}"] = x[0]
        index += 2
    return maps


def caffe_input(picture: Tensor) -> Tensor:
    """B, G, R of 0-255 minus the mean."""
    red, green, blue = 255 * picture
    return torch.stack([blue - 103.939, green - 116.779, red - 123.68])


def torchvision_input(picture: Tensor) -> Tensor:
    red, green, blue = picture
    return torch.stack([(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225])


# --- pieces of the published losses


def gram(features: Tensor) -> Tensor:
    """F F^T, not normalised."""
    rows = features.flatten(1)
    return rows @ rows.T


def positions(features: Tensor) -> int:
    return features.shape[1] * features.shape[2]


def content_loss(features: Tensor, target: Tensor, norm: str) -> Tensor:
    """The package's content loss of one layer."""
    return squared_error(features, target) / content_scale(target, norm)


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


def newton_schulz_root(matrix: Tensor) -> Tensor:
    """12 Newton-Schulz steps; the gradient by 12 steps for the Lyapunov equation, as the published code has it."""
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    norm = matrix.detach().square().sum().sqrt()
    y, z = matrix.detach() / norm, eye
    for _ in range(12):
        t = (3 * eye - z @ y) / 2
        y, z = y @ t, t @ z
    root = y * norm.sqrt()

    def lyapunov(gradient: Tensor) -> Tensor:
        size = root.square().sum().sqrt()
        a, q = root / size, gradient / size
        for _ in range(12):
            q = (q @ (3 * eye - a @ a) - a.T @ (a.T @ q - q @ a)) / 2
            a = a @ (3 * eye - a @ a) / 2
        return q / 2

    through = matrix - matrix.detach()  # zero, but it carries the gradient
    if through.requires_grad:
        through.register_hook(lyapunov)
    return root + through


def mean_and_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    rows = features.flatten(1)
    mean = rows.mean(1)
    return mean, rows @ rows.T / rows.shape[1] - mean[:, None] * mean[None]


def wasserstein(result: Tensor, wanted: Tensor) -> Tensor:
    """(|m - n|^2 + tr(S + T - 2 (T^1/2 S T^1/2)^1/2)) / C with 1e-4 on both diagonals."""
    (mean, cov), (wanted_mean, wanted_cov) = mean_and_covariance(result), mean_and_covariance(wanted)
    eye = torch.eye(len(mean), dtype=mean.dtype)
    cov, wanted_cov = cov + 1e-4 * eye, wanted_cov + 1e-4 * eye
    root = newton_schulz_root(wanted_cov)
    cross = newton_schulz_root(root @ cov @ root)
    distance = (mean - wanted_mean).square().sum() + (cov + wanted_cov - 2 * cross).diagonal().sum()
    return distance / len(mean)


def nine_point(picture: Tensor) -> Tensor:
    """2 (mean dx^2 / 3 + mean dy^2 / 3 + mean of both diagonals' / 12) with the border replicated."""
    padded = F.pad(picture[None], (1, 1, 1, 1), "replicate")[0]
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, 1:-1]
    down = padded[:, 2:, 1:-1] - padded[:, 1:-1, 1:-1]
    diagonal = padded[:, 1:, 1:] - padded[:, :-1, :-1]
    other = padded[:, 1:, :-1] - padded[:, :-1, 1:]
    mean = [each.square().mean() for each in (right, down, diagonal, other)]
    return 2 * (mean[0] / 3 + mean[1] / 3 + mean[2] / 12 + mean[3] / 12)


def keras_variation(picture: Tensor) -> Tensor:
    a = (picture[:, :-1, :-1] - picture[:, 1:, :-1]).square()
    b = (picture[:, :-1, :-1] - picture[:, :-1, 1:]).square()
    return ((a + b) ** 1.25).sum()


def absolute_variation(picture: Tensor) -> Tensor:
    return (picture[:, :, 1:] - picture[:, :, :-1]).abs().sum() + (picture[:, 1:] - picture[:, :-1]).abs().sum()


# --- the published systems: found maps F, the content's P, the style's S and the picture to the parts of the loss

Parts = dict[str, Tensor]


def gatys(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    style = 0.0
    for layer in FIVE:  # equation 4, each Gram matrix over its own number of positions
        gap = gram(f[layer]) / positions(f[layer]) - gram(s[layer]) / positions(s[layer])
        style += 0.2 * gap.square().sum() / (4 * len(gap) ** 2)
    return {"content": (f["relu4_2"] - p["relu4_2"]).square().sum() / 2, "style": 1e3 * style}


def keras(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    pixels = picture.shape[1] * picture.shape[2]
    style = sum((gram(s[layer]) - gram(f[layer])).square().sum() / (4.0 * 3**2 * pixels**2) for layer in FIVE)
    content = (f["relu5_2"] - p["relu5_2"]).square().sum()
    return {"content": 0.025 * content, "style": 1.0 / 5 * style, "tv": 1.0 * keras_variation(255 * picture)}


def tensorflow(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    style = [mean_square(gram(f[layer]) / positions(f[layer]), gram(s[layer]) / positions(s[layer])) for layer in FIVE]
    return {"content": 1e3 * mean_square(f["relu5_2"], p["relu5_2"]), "style": 1e-2 * sum(style) / 5}


def fastai(f: Maps, p: Maps, s: Maps, picture: Tensor, content: float = 1e6) -> Parts:
    style = 0.0
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"):
        style += mean_square(gram(f[layer]) / f[layer].numel() * 1e6, gram(s[layer]) / s[layer].numel() * 1e6)
    return {"content": content * mean_square(f["relu4_3"], p["relu4_3"]), "style": style}


def fastai_content(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    return fastai(f, p, s, picture, content=1e3)


def neural_style(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    style = [100 * mean_square(gram(f[layer]) / f[layer].numel(), gram(s[layer]) / s[layer].numel()) for layer in FIVE]
    content = 5 * mean_square(f["relu4_2"], p["relu4_2"])
    return {"content": content, "style": sum(style), "tv": 1e-3 * absolute_variation(255 * picture)}


def crowson(f: Maps, p: Maps, s: Maps, picture: Tensor) -> Parts:
    style = sum(weight / 341 * wasserstein(f[layer], s[layer]) for layer, weight in zip(FIVE, (256, 64, 16, 4, 1)))
    content = 0.015 * mean_square(f["relu4_2"], p["relu4_2"])
    return {"content": content, "style": style, "tv": 2.0 * nine_point(picture)}


PUBLISHED: dict[str, Callable[..., Parts]] = {
    "gatys": gatys,
    "keras": keras,
    "tensorflow": tensorflow,
    "fastai": fastai,
    "fastai-content": fastai_content,
    "neural-style": neural_style,
    "crowson": crowson,
}
