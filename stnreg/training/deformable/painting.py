"""Contrasts, on the device and for a batch at once: label maps painted, real scans given another contrast, scanners.

Random numbers come from a generator on the images' own device. The tissues are those of `stnreg.simulation.tissues`.
"""

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.simulation.tissues import CONTRASTS, EYES, HEAD, NAMES, tissue_of_code

DRAWN = ("t1", "t2", "flair", "pd")  # contrasts of painted images that have a name; the rest: any contrast at all
SHARES = (0.34, 0.2, 0.12, 0.08)  # of them
KNOTS = 8


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw evenly from low to high, on the generator's device."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def palettes(contrasts: list[str], generator: torch.Generator, spread: float = 1.0) -> Tensor:
    """Draw the mean of every byte code for images of given contrasts (`random` for any), (N, 256).

    Parameters
    ----------
    contrasts : list of str
    generator : torch.Generator
    spread : float
        How far means lie from the contrast's own; 0 gives those.
    """
    device = generator.device
    tissue = torch.from_numpy(tissue_of_code()).to(device)
    count = len(NAMES)
    rows = []
    for contrast in contrasts:
        noise = torch.randn(count, generator=generator, device=device)
        if contrast == "random":
            mean = torch.rand(count, generator=generator, device=device)
            mean[0] *= 0.1
        else:
            width = torch.full((count,), 0.07 * spread, device=device)
            width[NAMES.index("soft") :] = 0.2 * spread
            mean = torch.tensor(CONTRASTS[contrast], device=device) + width * noise
        row = mean[tissue] + 0.02 * spread * torch.randn(256, generator=generator, device=device)
        row[EYES], row[0] = mean[NAMES.index("fluid")], mean[0]
        rows.append(row)
    return torch.stack(rows).clamp(0, 1.5)


def draw_contrasts(
    count: int, generator: torch.Generator, shares: tuple[float, ...] = SHARES
) -> list[str]:  # fmt: skip
    """Draw names of contrasts, those `DRAWN` by their shares."""
    found = []
    for draw in torch.rand(count, generator=generator, device=generator.device).tolist():
        name = "random"
        for candidate, share in zip(DRAWN, shares, strict=True):
            if draw < share:
                name = candidate
                break
            draw -= share
        found.append(name)
    return found


def smooth_noise(shape: tuple[int, ...], knots: int, count: int, generator: torch.Generator) -> Tensor:
    """Return smooth noise of unit scale at `knots` points along each axis, (count, 1, *shape)."""
    coarse = torch.randn((count, 1, knots, knots, knots), generator=generator, device=generator.device)
    return functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)


def paint(codes: Tensor, palette: Tensor, generator: torch.Generator, texture: float = 0.06) -> Tensor:
    """Paint byte codes (N, 2D, 2H, 2W) of half the box's spacing, to (N, 1, D, H, W): texture, partial volumes."""
    n = codes.shape[0]
    image = palette.gather(1, codes.flatten(1)).reshape(codes.shape)[:, None]
    outside = functional.avg_pool3d((codes >= HEAD).float()[:, None], 2)
    image = functional.avg_pool3d(image, 2)
    shape = tuple(image.shape[2:])
    level = uniform((n, 1, 1, 1, 1), 0.0, texture, generator)
    rough = smooth_noise(shape, 28, n, generator) * level
    parts = smooth_noise(shape, 14, n, generator) * uniform((n, 1, 1, 1, 1), 0.0, 0.3, generator)
    return (image + rough + parts * outside).clamp_min(0)


def paint_scans(image: Tensor, codes: Tensor, palette: Tensor, generator: torch.Generator) -> Tensor:
    """Paint T1 scans from their own labels, and keep their partial volumes and texture.

    What a scan shows of fluid, grey and white matter gives a curve from its intensities to the palette's. A structure
    has the palette's mean, and varies about it by that curve: where cortex darkens towards a sulcus, the painted head
    comes near its fluid. What has no label follows the curve alone.

    Parameters
    ----------
    image : (N, 1, D, H, W) float32
        Scans, 0 to 1.
    codes : (N, D, H, W) int64
        Byte codes of their structures, 0 for none.
    palette : (N, 256) float32
    generator : torch.Generator

    Returns
    -------
    (N, 1, D, H, W) float32
    """
    n = image.shape[0]
    flat, code = image.flatten(1), codes.flatten(1)
    count = torch.zeros((n, 256), device=image.device).scatter_add(1, code, torch.ones_like(flat))
    total = torch.zeros((n, 256), device=image.device).scatter_add(1, code, flat)
    tissue = torch.from_numpy(tissue_of_code()).to(image.device)
    known, drawn = [torch.zeros(n, device=image.device)], [palette[:, 0]]
    for name in ("fluid", "gray", "white"):  # darkest first, in T1
        of = (tissue == NAMES.index(name)) & (torch.arange(256, device=image.device) > 0)
        weight = count[:, of]
        share = weight / weight.sum(1, keepdim=True).clamp_min(1)
        known.append(torch.maximum((total[:, of].sum(1) / weight.sum(1).clamp_min(1)), known[-1] + 0.02))
        drawn.append((share * palette[:, of]).sum(1))
    places, values = torch.stack(known, 1), torch.stack(drawn, 1)
    means = total / count.clamp_min(1)
    follow = uniform((n, 1), 0.5, 1.1, generator)
    # A structure's own mean in place of what the curve says of it.
    offset = palette - follow * _curve(means, places, values)
    offset[:, 0] = 0
    shift = offset.gather(1, code).reshape(image.shape)
    sigma = torch.full((n, 3), 0.6, device=image.device)
    return (follow * _curve(flat, places, values)).reshape(image.shape).add(blur(shift, sigma)).clamp_min(0)


def _curve(at: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Interpolate linearly between places (N, K), rising; beyond the last one the last value holds."""
    low = (torch.searchsorted(places, at.contiguous()) - 1).clamp(0, places.shape[1] - 2)
    start, stop = places.gather(1, low), places.gather(1, low + 1)
    part = ((at - start) / (stop - start)).clamp(0, 1)
    return values.gather(1, low) * (1 - part) + values.gather(1, low + 1) * part


def another_contrast(image: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Pass a share of the images (N, 1, D, H, W), 0 to 1, through random curves: monotone, inverted or neither."""
    n = image.shape[0]
    steps = uniform((n, KNOTS), 0.1, 1.0, generator)
    rising = torch.cumsum(steps, 1)
    rising = (rising - rising[:, :1]) / (rising[:, -1:] - rising[:, :1])
    falling = 1 - rising
    anything = uniform((n, KNOTS), 0.0, 1.0, generator)
    kind = uniform((n, 1), 0.0, 1.0, generator)
    values = torch.where(kind < 0.35, rising, torch.where(kind < 0.65, falling, anything))
    place = image.flatten(1).clamp(0, 0.9999) * (KNOTS - 1)
    low = place.long()
    part = place - low
    curved = values.gather(1, low) * (1 - part) + values.gather(1, low + 1) * part
    chosen = uniform((n, 1, 1, 1, 1), 0.0, 1.0, generator) < share
    return torch.where(chosen, curved.reshape(image.shape), image)


def scanner(image: Tensor, generator: torch.Generator) -> Tensor:
    """Spoil images (N, 1, D, H, W): bias field, blur, thick slices, Rician noise."""
    n = image.shape[0]
    shape = tuple(image.shape[2:])
    strength = uniform((n, 1, 1, 1, 1), 0.0, 0.35, generator)
    image = image * torch.exp(strength * smooth_noise(shape, 4, n, generator))
    sigma = uniform((n, 3), 0.0, 0.7, generator)
    thick = torch.rand((n, 3), generator=generator, device=generator.device)
    sigma = torch.where(thick < 0.08, uniform((n, 3), 0.7, 1.3, generator), sigma)
    image = blur(image, sigma)
    level = 0.08 * uniform((n, 1, 1, 1, 1), 0.0, 1.0, generator) ** 2
    real = image + level * torch.randn(image.shape, generator=generator, device=generator.device)
    other = level * torch.randn(image.shape, generator=generator, device=generator.device)
    return torch.sqrt(real.square() + other.square())


def blur(image: Tensor, sigma_voxels: Tensor, reach: int = 3) -> Tensor:
    """Blur every image (N, 1, D, H, W) by its own sigmas (N, 3) along z, y, x."""
    n = image.shape[0]
    line = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    out = image.transpose(0, 1)  # every image is a channel with a kernel of its own
    for axis in range(3):
        kernel = torch.exp(-line.square() / (2 * sigma_voxels[:, axis, None].clamp_min(0.05).square()))
        kernel = kernel / kernel.sum(1, keepdim=True)
        shape, pad = [n, 1, 1, 1, 1], [0, 0, 0]
        shape[2 + axis], pad[axis] = len(line), reach
        out = functional.conv3d(out, kernel.reshape(shape), padding=pad, groups=n)
    return out.transpose(0, 1)


def grown(brain: Tensor, voxels: Tensor) -> Tensor:
    """Return brains (N, 1, D, H, W) bool, grown by as many voxels each (N,) as given, float32."""
    mask = brain.float()
    kept = mask
    for k in range(int(voxels.max())):
        for axis in range(3):  # one after the other is several times faster, and the same
            size, pad = [1, 1, 1], [0, 0, 0]
            size[axis], pad[axis] = 3, 1
            mask = functional.max_pool3d(mask, size, 1, pad)
        kept = torch.where((voxels > k).view(-1, 1, 1, 1, 1), mask, kept)
    return kept


def normalise(image: Tensor, brain: Tensor, kept: Tensor) -> Tensor:
    """Bring the brain's 1st and 99th percentiles to 0 and 1, clip to -0.5 and 1.5, and leave nothing outside `kept`.

    Parameters
    ----------
    image, brain, kept : (N, 1, D, H, W)
        Intensities; where the brain is, bool; what is shown, 0 or 1.
    """
    values = torch.where(brain, image, torch.nan).flatten(1)[:, ::7]
    low, high = torch.nanquantile(values, torch.tensor([0.01, 0.99], device=image.device), dim=1)
    low, high = low.nan_to_num(0.0).view(-1, 1, 1, 1, 1), high.nan_to_num(1.0).view(-1, 1, 1, 1, 1)
    return ((image - low) / (high - low).clamp_min(1e-4)).clamp(-0.5, 1.5) * kept
