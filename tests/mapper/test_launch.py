"""What comes before each part of a mapping decides how a cascade is cut; against every mapping listed one by one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.mapper import brute
from tests.mapper.small_problems import problem
from tests.mapper.test_exact import differences, same_space, supported
from tests.share import share

PROBLEMS, BLOCK = share(300, 8, 4), 4


@pytest.mark.parametrize("block", range(PROBLEMS // BLOCK))
def test_the_search_finds_the_best_of_all_mappings_when_parts_have_a_launch(block: int) -> None:
    rng, compared = np.random.default_rng((31, block)), 0
    while compared < BLOCK:
        drawn = problem(rng, 600)
        if not same_space(drawn) or not supported(drawn) or len(drawn.cascade.work) == 1:
            continue
        launch = Fraction(int(rng.integers(1, 100)), 2) / drawn.architecture.clock_hz
        given = replace(drawn, architecture=replace(drawn.architecture, launch_s=launch))
        least, _ = brute.best(
            given.cascade, given.architecture, given.objective, dividing=True, schedules=given.schedules, counting=given.counting
        )
        assert differences(given, least) == [], f"problem {compared} of block {block}: {given}"
        compared += 1
