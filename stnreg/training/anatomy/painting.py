"""Paint scans from label maps: random contrast per tissue, mostly T1-like, with parts, texture and blur.

The tissues and their contrasts are those of `stnreg.simulation.tissues`, and codes are its byte codes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.simulation.tissues import CONTRASTS, EYES, HEAD, NAMES, tissue_of_code
from stnreg.training.anatomy.poses import uniform

SHARES = {"t1": 0.5, "t2": 0.14, "flair": 0.12, "pd": 0.08}  # the rest: random contrasts

_TISSUE = torch.from_numpy(tissue_of_code())


def random_palette(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw mean intensity and texture level of every code: (256,) each, relative to white matter."""
    draw, name = uniform(generator), "random"
    for candidate, share in SHARES.items():
        if draw < share:
            name = candidate
            break
        draw -= share
    if name == "random":
        mean = torch.rand(len(NAMES), generator=generator)
        mean[0] = mean[0] * 0.1 if uniform(generator) < 0.9 else mean[0]
    else:
        spread = 0.06 + 0.06 * torch.rand(len(NAMES), generator=generator)
        spread[NAMES.index("soft") :] = 0.2
        mean = torch.tensor(CONTRASTS[name]) + spread * torch.randn(len(NAMES), generator=generator)
        brain = slice(1, 5)
        middle = mean[brain].mean()  # scale the contrast between brain tissues
        mean[brain] = middle + (mean[brain] - middle) * uniform(generator, 0.6, 1.3)
    per_code = mean[_TISSUE] + 0.02 * torch.randn(256, generator=generator)
    per_code[EYES] = mean[NAMES.index("fluid")]  # eyes are fluid
    per_code[0] = mean[0]
    texture = 0.01 + 0.05 * torch.rand(256, generator=generator)
    texture[HEAD:] *= 2.5
    texture[0] = 0.01 * uniform(generator)
    return per_code.clamp(0, 1.5), texture


def voronoi_parts(shape: tuple[int, ...], parts: int, generator: torch.Generator) -> Tensor:
    """Split a box into random Voronoi parts with ragged borders; (D, H, W) int64."""
    coarse = tuple(max(n // 3, 1) for n in shape)
    line = [torch.linspace(0, 1, n) for n in coarse]
    points = torch.stack(torch.meshgrid(*line, indexing="ij"), -1).reshape(-1, 3)
    points = points + 0.01 * torch.randn(points.shape, generator=generator)
    seeds = torch.rand(parts, 3, generator=generator)
    nearest = torch.cdist(points, seeds).argmin(1).reshape(coarse)
    return functional.interpolate(nearest[None, None].float(), size=shape, mode="nearest")[0, 0].long()


def paint(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Paint one scan.

    Parameters
    ----------
    codes : (D, D, D) uint8
        Tissue codes on the (fine) sampling grid.

    Returns
    -------
    (D, D, D) float32
        Intensities about 0 to 1.2, before blur, bias field and scanner noise.
    """
    mean, texture = random_palette(generator)
    index = codes.long()
    image = mean[index]
    level = texture[index]
    coarse = torch.randn(1, 1, *[max(n // 3, 2) for n in codes.shape], generator=generator)
    smooth = functional.interpolate(coarse, size=codes.shape, mode="trilinear", align_corners=False)[0, 0]
    fine = torch.randn(codes.shape, generator=generator)
    image = image + level * (0.8 * smooth + 0.5 * fine)
    if uniform(generator) < 0.7:  # tissue outside the brain has one label only
        outside = codes >= HEAD
        parts = voronoi_parts(tuple(codes.shape), int(uniform(generator, 20, 120)), generator)
        offset = torch.randn(128, generator=generator) * uniform(generator, 0.05, 0.25)
        image = torch.where(outside, image + offset[parts], image)
    return image.clamp_min(0)
