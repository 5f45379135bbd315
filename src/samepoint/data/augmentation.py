"""Augmentation of typed batches, on their device; points move exactly as their images do.

Random numbers are drawn on the generator's device (the CPU) and moved, so that a CPU and a GPU see the same
augmentation. Which augmentations: seed 001, section III-C.1 (affine, perspective, brightness and contrast) and
seed 002 (background randomisation on the mask).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.geometry.pixels import in_frame, sample
from samepoint.geometry.warps import invert_warp, random_warp, warp_images, warp_points
from samepoint.types import ImageBatch, PairBatch, Size


@dataclass(frozen=True)
class Augmentation:
    """How strongly a batch is changed. Angles in degrees; `scale` is a factor; the rest are fractions.
    `rotation` None: as far as what training starts from asks for.

    `background` is the probability that an image's background (label 0) is replaced; `grey` that it loses its
    colour. `colour` bounds brightness, contrast and saturation (a factor of 1 +- colour) and the hue (a turn of
    colour / 4 of the circle). `noise` is the standard deviation of pixel noise. `view` is the (height, width) of
    the views that are trained on, cut from the images at their own scale so that a match lies anywhere in them (were
    it always near the middle, a network would learn to look there); None: the whole image.
    """

    rotation: float | None = 45.0
    scale: tuple[float, float] = (0.75, 1.33)
    translation: float = 0.1
    perspective: float = 0.2
    colour: float = 0.4
    grey: float = 0.05
    noise: float = 0.02
    background: float = 0.5
    view: Size | None = None

    @property
    def turn(self) -> float:
        """The largest angle; all of them where nobody settled it."""
        return 180.0 if self.rotation is None else self.rotation


def random_view(
    augmentation: Augmentation, generator: torch.Generator, batch: int, size: Size, out_size: Size
) -> Float[Tensor, "b 3 3"]:
    """Warps from images of `size` to augmented views of `out_size`."""
    return random_warp(
        generator,
        batch,
        size,
        out_size,
        rotation=math.radians(augmentation.turn),
        scale=augmentation.scale,
        translation=augmentation.translation,
        perspective=augmentation.perspective,
    )


def augment_pairs(batch: PairBatch, augmentation: Augmentation, generator: torch.Generator) -> PairBatch:
    """Both images of each pair changed independently; points that leave either image are rows no more, alternatives
    that leave theirs become NaN."""
    focus = _some_match(batch, generator)
    image_a, uv_a, labels_a = _augment_side(
        (batch.image_a, _joined(batch.uv_a, batch.alternatives_a), batch.labels_a),
        focus,
        augmentation,
        generator,
    )
    image_b, uv_b, labels_b = _augment_side(
        (batch.image_b, _joined(batch.uv_b, batch.alternatives_b), batch.labels_b),
        focus,
        augmentation,
        generator,
    )
    uv_a, alternatives_a = _apart(uv_a, batch.alternatives_a, image_a)
    uv_b, alternatives_b = _apart(uv_b, batch.alternatives_b, image_b)
    inside = _inside(uv_a, image_a) & _inside(uv_b, image_b)
    return dataclasses.replace(
        batch,
        image_a=image_a,
        image_b=image_b,
        uv_a=torch.nan_to_num(uv_a),
        uv_b=torch.nan_to_num(uv_b),
        valid=batch.valid & inside,
        unmatched=None if batch.unmatched is None else batch.unmatched & inside,
        labels_a=labels_a,
        labels_b=labels_b,
        alternatives_a=alternatives_a,
        alternatives_b=alternatives_b,
    )


def _joined(
    uv: Float[Tensor, "b n 2"], alternatives: Float[Tensor, "b n k 2"] | None
) -> Float[Tensor, "b m 2"]:
    """Points with their alternatives behind them."""
    return uv if alternatives is None else torch.cat((uv, alternatives.flatten(1, 2)), 1)


def _apart(
    joined: Float[Tensor, "b m 2"],
    alternatives: Float[Tensor, "b n k 2"] | None,
    image: Float[Tensor, "b 3 h w"],
) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b n k 2"] | None]:
    """The inverse of `_joined` (`alternatives` gives the shape); alternatives outside the image are NaN."""
    if alternatives is None:
        return joined, None
    uv, others = joined.split((alternatives.shape[1], joined.shape[1] - alternatives.shape[1]), dim=1)
    others = torch.where(_inside(others, image)[..., None], others, torch.nan)
    return uv, others.view(alternatives.shape)


Side = tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b n 2"], Int[Tensor, "b h w"] | None]
"""Images, points and labels of one side of the pairs."""


def _augment_side(
    side: Side, focus: Int[Tensor, " b"], augmentation: Augmentation, generator: torch.Generator
) -> tuple[Float[Tensor, "b 3 h2 w2"], Float[Tensor, "b n 2"], Int[Tensor, "b h2 w2"] | None]:
    image, uv, labels = side
    size = (image.shape[-2], image.shape[-1])
    out = augmentation.view or size
    view = random_view(augmentation, generator, len(image), out, out).to(image)
    if augmentation.view is not None:
        at = uv.gather(1, focus[:, None, None].expand(-1, 1, 2))[:, 0]
        view = view @ _cut(at, size, out, generator)
    image = warp_images(image, view, out)
    if labels is not None:
        labels = warp_images(labels[:, None], view, out, mode="nearest")[:, 0]
        image = randomise_background(image, labels, augmentation.background, generator)
    image = change_appearance(image, augmentation, generator)
    return image, warp_points(view, uv), labels


def _some_match(batch: PairBatch, generator: torch.Generator) -> Int[Tensor, " b"]:
    """The index of a row of each pair that is not padding, drawn evenly; any where there is none."""
    real = batch.valid if batch.unmatched is None else batch.valid | batch.unmatched
    weight = real.cpu() + 1e-9
    return torch.multinomial(weight, 1, generator=generator)[:, 0].to(batch.uv_a.device)


def _cut(
    uv: Float[Tensor, "b 2"], size: Size, view: Size, generator: torch.Generator
) -> Float[Tensor, "b 3 3"]:
    """Shifts from images of `size` to views that show `uv`: evenly among those that stay inside the image."""
    room = uv.new_tensor((size[1] - view[1], size[0] - view[0]))
    first, last = room.clamp(max=0), room.clamp(min=0)
    length = uv.new_tensor((view[1], view[0]))
    low, high = torch.maximum(uv - 0.95 * length, first), torch.minimum(uv - 0.05 * length, last)
    corner = torch.lerp(low, high, torch.rand(len(uv), 2, generator=generator).to(uv)).clamp(first, last)
    shift = torch.eye(3, dtype=uv.dtype, device=uv.device).repeat(len(uv), 1, 1)
    shift[:, :2, 2] = -corner
    return shift


def two_views(
    batch: ImageBatch,
    augmentation: Augmentation,
    generator: torch.Generator,
    points: int,
    *,
    textured: bool = False,
) -> PairBatch:
    """Two augmented copies of each image with `points` true correspondences (identical view, seed 001 eq. 10).

    Copies of the whole image, or of the size `augmentation.view`, with a random point of the image in both.
    Points are drawn on A's view: evenly, or (`textured`) as often as the image changes round them, and kept on
    the mask where there is one; those that B does not see are invalid.
    """
    image = batch.image
    size = (image.shape[-2], image.shape[-1])
    out_size = augmentation.view or size
    a, b = (random_view(augmentation, generator, len(image), out_size, out_size).to(image) for _ in range(2))
    if augmentation.view is not None:
        shared = torch.rand(len(image), 2, generator=generator).to(image)
        shared = shared * image.new_tensor((size[1], size[0])) - 0.5
        a, b = (view @ _cut(shared, size, out_size, generator) for view in (a, b))
    bare = warp_images(image, a, out_size)
    if textured:
        uv_a = textured_points(bare, points, generator)
    else:
        uv_a = torch.rand(len(image), points, 2, generator=generator).to(image)
        uv_a = uv_a * uv_a.new_tensor((out_size[1], out_size[0])) - 0.5
    origin = warp_points(invert_warp(a), uv_a)
    uv_b = warp_points(b, origin)
    valid = in_frame(origin, size) & in_frame(uv_b, out_size)
    if batch.mask is not None:
        valid &= _values_at(batch.mask[:, None].float(), origin) > 0.5
    view_a = change_appearance(bare, augmentation, generator)
    view_b = change_appearance(warp_images(image, b, out_size), augmentation, generator)
    return PairBatch(view_a, view_b, uv_a, torch.nan_to_num(uv_b), valid)


def textured_points(
    images: Float[Tensor, "b 3 h w"], number: int, generator: torch.Generator, block: int = 8
) -> Float[Tensor, "b n 2"]:
    """Pixels drawn in proportion to how much the image changes in the `block` x `block` pixels round them.

    Most of a picture of a table is table, and one piece of it looks like the next: no loss can tell them apart.
    """
    down = images.diff(dim=2).abs().sum(1)[..., :-1]
    across = images.diff(dim=3).abs().sum(1)[:, :-1]
    change = F.avg_pool2d((down + across)[:, None], block, ceil_mode=True)[:, 0]
    weight = change.flatten(1).cpu() + 1e-6
    chosen = torch.multinomial(weight, number, replacement=True, generator=generator)
    corner = torch.stack((chosen % change.shape[2], chosen // change.shape[2]), dim=-1) * block
    uv = corner + block * torch.rand(len(images), number, 2, generator=generator) - 0.5
    limit = torch.tensor((images.shape[3] - 0.51, images.shape[2] - 0.51))
    return uv.minimum(limit).to(images)


def change_appearance(
    images: Float[Tensor, "b 3 h w"], augmentation: Augmentation, generator: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Brightness, contrast, saturation and hue as one linear map of colours a image, then pixel noise."""
    batch, strength = len(images), augmentation.colour

    def factor(span: float) -> Tensor:
        return 1 + span * (2 * torch.rand(batch, 1, 1, generator=generator) - 1)

    grey = (torch.rand(batch, 1, 1, generator=generator) < augmentation.grey).float()
    angle = math.pi / 2 * (factor(strength) - 1)
    saturation = factor(strength) * (1 - grey)
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    matrix = luma + saturation * (_hue_rotation(angle) - luma)
    gain, contrast = factor(strength), factor(strength)
    # contrast about the image's own mean, so that dark images stay dark
    mean = images.mean(dim=(1, 2, 3), keepdim=True)[..., 0]
    matrix, offset = (gain * contrast * matrix).to(images), mean * (gain * (1 - contrast)).to(images)
    changed = (matrix @ images.flatten(2) + offset).unflatten(2, images.shape[2:])
    if augmentation.noise > 0:
        seed = int(torch.randint(2**62, (1,), generator=generator))
        on_device = torch.Generator(images.device).manual_seed(seed)
        pixel_noise = torch.randn(images.shape, generator=on_device, device=images.device, dtype=images.dtype)
        changed = changed + augmentation.noise * pixel_noise
    return changed.clamp(0, 1)


def randomise_background(
    images: Float[Tensor, "b 3 h w"],
    labels: Int[Tensor, "b h w"],
    probability: float,
    generator: torch.Generator,
) -> Float[Tensor, "b 3 h w"]:
    """Some images with their background (label 0) replaced: by that of another image of the batch, or by soft
    noise. Objects of the other image are not copied: a second copy of an object would be a second right answer."""
    batch, size = len(images), images.shape[-2:]
    chosen = torch.rand(batch, generator=generator) < probability
    noise = torch.rand(batch, 3, 8, 8, generator=generator).to(images)
    noise = F.interpolate(noise, size=size, mode="bilinear", align_corners=False)
    use_noise = (torch.rand(batch, generator=generator) < (0.5 if batch > 1 else 1.0)).to(images.device)
    empty = labels.roll(1, dims=0) == 0
    other = torch.where((use_noise[:, None, None] | ~empty)[:, None], noise, images.roll(1, dims=0))
    replaced = (labels == 0) & chosen.to(images.device)[:, None, None]
    return torch.where(replaced[:, None], other, images)


def _hue_rotation(angle: Float[Tensor, "b 1 1"]) -> Float[Tensor, "b 3 3"]:
    """Turn about the grey axis of the colour cube."""
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return torch.cos(angle) * torch.eye(3) + (1 - torch.cos(angle)) * third + torch.sin(angle) * cross


def _inside(uv: Float[Tensor, "b n 2"], image: Float[Tensor, "b 3 h w"]) -> Tensor:
    return in_frame(uv, (image.shape[-2], image.shape[-1]))


def _values_at(values: Float[Tensor, "b 1 h w"], uv: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n"]:
    return sample(values, torch.nan_to_num(uv), mode="nearest")[..., 0]
