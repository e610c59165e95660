"""The layers of a released network, as the network itself tells them: a table, and a drawing.

python -m benchmarks.networks.layers anatomy|anatomy-pose|affine|separate [--svg FILE]
"""

import argparse
import json
from pathlib import Path

from safetensors import safe_open
from torch import nn

from stnreg.networks.anatomy import AnatomyNet, AnatomyShape
from stnreg.networks.layers import Layer, layer_table
from stnreg.networks.pair import PairArchitecture, PairNet

WEIGHTS = Path(__file__).parents[2] / "weights"
GAP, TOP, LOW = 10, 34, 22
COLOURS = {"down": "#3a6ea5", "narrow": "#8a8a8a", "up": "#c0722e", "head": "#5b8c3a"}


def released(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Rebuild a released network with any numbers; also return the shape of its input."""
    with safe_open(WEIGHTS / f"{name}.safetensors", "pt") as file:
        config = json.loads(file.metadata()["stnreg"])["config"]
    if "pair" in config:
        pair = PairArchitecture.from_dict(config["pair"]["model"])
        return PairNet(pair), (1, 2, *(pair.size,) * 3)
    anatomy = config["anatomy"]
    box = tuple(anatomy.get("shape") or (anatomy["size"],) * 3)
    shape = AnatomyShape(box, anatomy["spacing_mm"], anatomy["maps"], tuple(anatomy["widths"]))
    return AnatomyNet(shape), (1, 1, *box)


def drawing(layers: list[Layer], input_shape: tuple[int, ...], title: str) -> str:
    """Draw the layers from left to right: as tall as their grid, as wide as they have channels."""
    boxes, x, middle = [], GAP, TOP + 1.6 * max(input_shape[2:]) / 2 + 6
    whole = Layer("scan", "input", input_shape[1], input_shape[2:], 0)
    places = {}
    for layer in (whole, *layers):
        width, height = 6 + layer.channels / 4, 6 + 1.6 * max(layer.grid or (1,))
        colour = COLOURS.get(layer.name.partition(".")[0], "#555")
        places[layer.name] = (x + width / 2, middle - height / 2)
        boxes.append(
            f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour}"><title>{layer.name}: {layer.does}</title></rect>'
            f'<text x="{x + width / 2:.1f}" y="{middle + height / 2 + 11:.1f}">{layer.channels}</text>'
            f'<text x="{x + width / 2:.1f}" y="{middle + height / 2 + 21:.1f}">{_edges(layer.grid)}</text>'
        )
        x += width + GAP + 14
    for name, (here, top) in places.items():  # the coarse level's input is joined by the finer one's own
        if name.startswith("up.") and name.endswith(".first"):
            there, other = places[name.replace("up.", "down.").replace("first", "second")]
            high = min(top, other) - 8
            boxes.append(f'<path d="M{there:.1f} {other:.1f}V{high:.1f}H{here:.1f}V{top:.1f}"/>')
    bottom = middle + 1.6 * max(input_shape[2:]) / 2 + LOW + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x:.0f} {bottom:.0f}" font-family="sans-serif" '
        f'font-size="8" text-anchor="middle"><rect width="100%" height="100%" fill="#fff"/>'
        "<style>path{fill:none;stroke:#999}</style>"
        f'<text x="{GAP}" y="14" font-size="11" text-anchor="start">{title}</text>{"".join(boxes)}</svg>\n'
    )


def _edges(grid: tuple[int, ...]) -> str:
    if not grid:
        return ""
    return f"{grid[0]}³" if len(set(grid)) == 1 else " ".join(str(n) for n in grid)


def main() -> None:
    """Print the table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    network, shape = released(options.name)
    layers = layer_table(network, shape)
    print(f"{'layer':<18}{'does':<16}{'channels':>8}  {'grid (z y x)':<14}{'weights':>9}")
    print(f"{'scan':<18}{'input':<16}{shape[1]:>8}  {' '.join(map(str, shape[2:])):<14}{0:>9}")
    for layer in layers:
        grid = " ".join(map(str, layer.grid))
        print(f"{layer.name:<18}{layer.does:<16}{layer.channels:>8}  {grid:<14}{layer.weights:>9}")
    total = sum(parameter.numel() for parameter in network.parameters())
    print(f"{'with the norms':<18}{'':<16}{'':>8}  {'':<14}{total:>9}")
    if options.svg is not None:
        options.svg.write_text(drawing(layers, shape, options.name), encoding="utf-8")


if __name__ == "__main__":
    main()
