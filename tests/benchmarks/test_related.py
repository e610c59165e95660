"""The table of the related methods says what its lines say; no data is read but a toy head."""

import numpy as np
import pytest

from benchmarks.paper import related, related_methods
from stnreg.registration.deformable.frame import Frame


def line(method, pair, dice, central=0, digital=0):
    figures = {"dice_start": 0.5, "dice": dice, "folds_central": central, "folds_digital": digital}
    figures |= {"folded_pct": 0.01 * digital, "log_jacobian_sd": 0.3, "cpu_s": 1 + pair}
    kept = {"day": "2026-01-01", "machine": "a machine", "version": "0"}
    return dict.fromkeys(related.COLUMNS, "") | kept | {"pair": str(pair), "method": method} | {
        name: str(value) for name, value in figures.items()
    }  # fmt: skip


def cells(lines, method):
    heads, *body = ([cell.strip() for cell in row.split("|")[1:-1]] for row in related.table(lines))
    return dict(zip(heads, next(row for row in body if row[0] == f"`{method}`"), strict=True))


def test_differences_are_paired_and_folds_are_counted():
    ours = [line("stnreg", pair, 0.7 + 0.01 * pair) for pair in range(3)]
    mine = [line("bspline", pair, 0.6 + 0.01 * pair, central=pair, digital=10 * pair) for pair in range(2)]
    found = cells([*ours, *mine], "bspline")
    assert found["less stnreg's"] == "-0.1000 [-0.1000, -0.1000]"
    assert (found["pairs"], found["label Dice"], found["from"]) == ("2", "0.6050", "0.5000")
    assert found["pairs that fold"] == "1, 1"
    assert found["voxels that fold"] == "0, 5"
    assert cells([*ours, *mine], "stnreg")["less stnreg's"] == ""


def test_an_empty_table_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["related", "show", "--csv", str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit, match=r"benchmarks\.paper\.related measure"):
        related.main()


def test_a_centred_frame_keeps_the_axes_of_the_scanner(monkeypatch):
    class Encoder:
        class model:  # noqa: N801
            fine = None

    turned = np.array([[0.9, -0.2, 0, 3], [0.2, 0.9, 0, -4], [0, 0, 1.1, 5], [0, 0, 0, 1.0]])
    monkeypatch.setattr(related_methods, "encoder", Encoder)
    monkeypatch.setattr(related_methods, "frame_to_head", lambda encoding, network: encoding * turned)
    frame = related_methods.centred_frame((1.0, 2.0))
    assert isinstance(frame, Frame)
    assert np.array_equal(frame.to_fixed[:3, :3], np.eye(3))
    assert np.array_equal(frame.to_fixed[:3, 3], [3, -4, 5])
    assert np.array_equal(frame.to_moving[:3, 3], [6, -8, 10])
