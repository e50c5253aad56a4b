"""Colours stay apart for readers who see two kinds of colours, and in print."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from accelsim.report.plots import style

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1.0.
SEEN = {
    "all": np.eye(3),
    "without red": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "without green": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "without blue": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
APART = 12.0  # of CIELAB; 2.3 can just be told


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """A colour as it is seen, in CIELAB."""
    part = np.asarray(to_rgb(colour))
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    x, y, z = (XYZ @ np.clip(seen @ linear, 0, 1)) / (XYZ @ np.ones(3))
    fx, fy, fz = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def nearest(colours: tuple[str, ...], seen: np.ndarray) -> float:
    """How far the nearest two are apart."""
    return min(float(np.linalg.norm(lab(one, seen) - lab(other, seen))) for one, other in itertools.combinations(colours, 2))


@pytest.mark.parametrize("who", SEEN)
def test_colours_stay_apart_for_every_reader(who: str) -> None:
    assert nearest(style.COLOURS, SEEN[who]) > APART


def test_red_and_green_would_not() -> None:
    assert nearest(("#c44e52", "#8c7a3c"), SEEN["without green"]) < APART


def test_each_colour_differs_in_lightness_from_the_one_before() -> None:
    lightness = [lab(colour, np.eye(3))[0] for colour in style.COLOURS]
    assert all(abs(one - other) > 4 for one, other in itertools.pairwise(lightness))


def test_after_the_last_colour_hatches_and_dashes_tell_them_apart() -> None:
    looks = [(style.colour(number), style.hatch(number), style.dash(number)) for number in range(4 * len(style.COLOURS))]
    assert len(set(looks)) == len(looks)


def test_words_in_a_shade_can_be_read_on_its_tint() -> None:
    for colour in style.COLOURS:
        dark, light = (lab(each, np.eye(3))[0] for each in (style.shade(colour), style.tint(colour)))
        assert light - dark > 35
