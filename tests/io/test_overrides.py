"""Settings of the command line, sorted by file."""

from __future__ import annotations

import pytest

from accelsim.errors import InputError
from accelsim.io.overrides import Overrides, overrides


def test_settings_go_to_the_file_that_they_belong_to() -> None:
    found = overrides(["shape.m=16384", "arch.L3.size=8 MiB", "mapping.let.P1=4", "workload.constants.c = 2"])
    assert found == Overrides({"shape.m": "16384", "constants.c": "2"}, {"L3.size": "8 MiB"}, {"let.P1": "4"})


def test_value_may_hold_an_equals_sign() -> None:
    assert overrides(["shape.m=a=b"]).workload == {"shape.m": "a=b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["shape.m"], "--set shape.m: not a setting; write path=value, as in shape.m=16384"),
        (["=3"], "--set =3: not a setting; write path=value, as in shape.m=16384"),
        (["shape.m="], "--set shape.m=: not a setting; write path=value, as in shape.m=16384"),
        (["shap.m=1"], "--set shap.m=1: no part is called 'shap'; did you mean 'shape'?"),
        (["SRAM.size=4 MiB"], "--set SRAM.size=4 MiB: no part is called 'SRAM'; did you mean 'arch.SRAM.size'?"),
        (["m=4"], "--set m=4: no part is called 'm'; did you mean 'shape.m', the size of a rank?"),
        (["let.x=1"], "--set let.x=1: no part is called 'let'; did you mean 'mapping.let.x' or 'arch.let.x'?"),
        (["arch=1"], "--set arch=1: the path stops at 'arch'; say what to change inside, as in arch.L3.size='8 MiB'"),
        (["shape.m=1", "shape.m=2"], "--set shape.m=2: 'shape.m' is set twice; remove one of the two"),
    ],
)
def test_setting_that_means_nothing_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        overrides(settings)
    assert str(error.value) == message


def test_setting_of_a_file_that_is_not_read_is_refused() -> None:
    with pytest.raises(InputError) as error:
        overrides(["arch.L3.size=1"]).refuse("mapping", "arch")
    assert str(error.value) == "--set arch.L3.size: this command reads no machine; leave the setting out"
