from stnreg.networks.anatomy import AnatomyNet, AnatomyShape
from stnreg.networks.layers import layer_table
from stnreg.networks.pair import PairArchitecture, PairNet


def test_layers_come_in_the_order_they_run_with_their_shapes():
    network = AnatomyNet(AnatomyShape((16, 24, 16), 2.5, 5, (4, 6)))
    table = {layer.name: layer for layer in layer_table(network, (1, 1, 16, 24, 16))}
    down = ["down.0.first", "down.0.second", "down.1.first", "down.1.second"]
    assert list(table) == [*down, "narrow.0", "up.0.first", "up.0.second", "head"]
    assert table["down.0.first"].does == "conv 3x3x3 /2"
    assert table["down.1.second"].grid == (4, 6, 4)
    assert (table["head"].channels, table["head"].grid) == (5, (8, 12, 8))
    assert table["down.0.first"].weights == 4 * 27


def test_weights_add_up():
    network = PairNet(PairArchitecture(size=16, norm=False))
    layers = layer_table(network, (1, 2, 16, 16, 16))
    assert layers[-1].does == "linear"
    assert layers[-1].grid == ()
    assert sum(layer.weights for layer in layers) == sum(p.numel() for p in network.parameters())
