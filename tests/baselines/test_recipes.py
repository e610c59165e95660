"""The table of methods and what it prints."""

import os

import pytest

from stnreg.baselines.engines import EngineMissing, find_program, silent
from stnreg.baselines.recipes import HOW_TO_GET, RECIPES, SIMPLEITK_METRICS
from stnreg.baselines.run import find_recipe, recipe_text


@pytest.mark.parametrize("method", RECIPES)
def test_every_recipe_can_be_read(method):
    text = recipe_text(method, threads=3)
    assert text.startswith(f"# {method}: ")
    assert HOW_TO_GET[RECIPES[method].engine] in text
    assert f"{RECIPES[method].dof} degrees" in text


@pytest.mark.parametrize("metric", SIMPLEITK_METRICS)
def test_the_metric_is_in_the_recipe(metric):
    assert find_recipe("sitk-affine", metric).settings["metric"] == metric
    assert {"mi": "Mattes", "mse": "MeanSquares", "correlation": "Correlation"}[metric] in recipe_text(
        "sitk-affine", metric
    )


def test_a_missing_program_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match="install FSL"):
        find_program("flirt", "flirt", None)


def test_what_a_library_prints_stays_off_the_streams(capfd):
    with silent("x"):
        print("loud", flush=True)
        os.system("echo loud too")
    print("heard", flush=True)
    assert capfd.readouterr().out == "heard\n"
