"""What a search is asked for and how a model is served, from texts: options of `accelsim map`, and names in sweep files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.mapper.best import Request
    from accelsim.model.options import Counting
    from accelsim.workload.serving import Asked

SERVED = ("phase", "batch", "context", "tokens")
SECONDS = "5"  # of each search of a served model, unless stated


def request(texts: Mapping[str, str | None]) -> Request:
    """The request of `objective`, `seed`, `counting`, `schedule`, `tiles`, `time_limit` and `gap`; InputError for one out of range."""
    from accelsim.mapper.best import SCHEDULES, Request
    from accelsim.mapper.objectives import objective_named

    objective = objective_named(texts.get("objective") or "latency")
    schedules: tuple[str, ...] = SCHEDULES
    schedule = texts.get("schedule")
    if schedule is not None:
        if schedule not in SCHEDULES:
            raise InputError(f"there is no schedule '{schedule}' to search", did_you_mean(schedule, SCHEDULES))
        schedules = (schedule,)
    tiles = texts.get("tiles") or "any"
    if tiles not in ("any", "dividing"):
        raise InputError(f"--tiles {tiles}: not a choice", "write dividing or any")
    limit = _number(texts.get("time_limit"), "--time-limit", "seconds, as in 10")
    gap = _number(texts.get("gap"), "--gap", "a share, as in 0.02 for two per cent") or 0.0
    return Request(objective, seed(texts.get("seed") or "0"), counting(texts.get("counting") or ""), schedules, tiles, limit, gap)


def asked(texts: Mapping[str, str | None]) -> Asked | None:
    """What is to be served by the texts of SERVED, None if there is none of them; InputError for one out of range."""
    given = {option: text for option in SERVED if (text := texts.get(option)) is not None}
    if not given:
        return None
    from accelsim.io.serving import tokens_of
    from accelsim.workload.serving import PHASES, Asked

    phase = given.get("phase", "both")
    if phase not in PHASES:
        raise InputError(f"--phase {phase}: not a phase", did_you_mean(phase, PHASES))
    if "tokens" in given and phase == "prefill":
        raise InputError("--tokens are made by steps of decoding, and --phase is prefill", "leave one of the two out")
    sizes = {option: tokens_of(given[option], f"--{option}") for option in ("context", "tokens") if option in given}
    return Asked(phase, whole(given.get("batch", "1"), "--batch"), sizes.get("context"), sizes.get("tokens"))


def whole(text: str, option: str) -> int:
    """The value of an option that is a whole number from 1."""
    if not (text.isascii() and text.isdigit() and len(text) < 13 and int(text) > 0):
        raise InputError(f"{option} '{text}' is not a whole number from 1", f"write digits, as in {option} 32")
    return int(text)


def seed(text: str) -> int:
    """A seed, a whole number from 0."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(f"--seed '{text}' is not a whole number from 0", "write digits, as in --seed 1")
    return int(text)


def counting(*texts: str) -> Counting:
    """The counting conventions of texts such as `drains=free,refill=delta`."""
    from accelsim.model.options import Counting

    found: dict[str, str] = {}
    for option in (each for text in texts for each in text.split(",") if text):
        name, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--counting {option}: not an option", "write option=value, as in drains=free")
        found[name.strip()] = value.strip()
    return Counting.from_text(found)


def _number(text: str | None, option: str, mend: str) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise InputError(f"{option} {text}: not a number from 0", f"write {mend}")
    return number
