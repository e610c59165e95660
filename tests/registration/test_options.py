"""The options of a registration are one object, for the command line, for batches and for Python."""

import inspect
from dataclasses import FrozenInstanceError, fields

import pytest

import stnreg
from stnreg.commands.batch import batch
from stnreg.commands.register import register as register_command
from stnreg.errors import UsageProblem
from stnreg.registration.options import RegistrationOptions

NAMES = {field.name for field in fields(RegistrationOptions)}


@pytest.mark.parametrize("face", [stnreg.register, register_command, batch])
def test_every_option_can_be_given_everywhere_with_the_same_default(face):
    parameters = inspect.signature(face).parameters
    assert parameters.keys() >= NAMES
    for field in fields(RegistrationOptions):
        if (face, field.name) != (batch, "threads"):  # each worker of a batch has one
            assert parameters[field.name].default == field.default, field.name


@pytest.mark.parametrize("name", ["smoothness", "interp", "fixed", "moving_mask"])
def test_what_is_no_option_is_refused(name):
    with pytest.raises(TypeError, match=name):
        RegistrationOptions(**{name: None})


@pytest.mark.parametrize("dof", [0, 3, 8, 13])
def test_dof_that_no_transform_has_is_refused(dof):
    with pytest.raises(UsageProblem, match=f"got {dof}"):
        RegistrationOptions(dof=dof)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        RegistrationOptions().dof = 6


def test_the_outcome_depends_on_all_but_threads_and_device():
    assert RegistrationOptions().outcome.keys() == NAMES - {"threads", "device"}


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_limit_of_time_is_above_zero(seconds):
    with pytest.raises(UsageProblem, match="max_seconds"):
        RegistrationOptions(max_seconds=seconds)
