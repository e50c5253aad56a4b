"""Events of a simulation for the timeline of a page, in columns, from a trace for Perfetto."""

from __future__ import annotations

from typing import Any

from accelsim.report.html.markup import Html, el, join
from accelsim.report.html.page import note
from accelsim.report.html.shown import whole

_BUTTONS = (("+", "zoom in"), ("-", "zoom out"), ("←", "to the left"), ("→", "to the right"), ("0", "show all"))

_MOST_KEYS = 24  # tasks that a legend names; their names are in the slices and under the pointer as well


def columns(trace: dict[str, Any]) -> dict[str, Any]:
    """The events of a trace as `accelsim simulate --trace` writes it: a row for each track, times in cycles, by their start."""
    names = {event["tid"]: event["args"]["name"] for event in trace["traceEvents"] if event["ph"] == "M" and event["name"] == "thread_name"}
    events = sorted((event for event in trace["traceEvents"] if event["ph"] == "X"), key=lambda event: event["ts"])
    tracks = {tid: place for place, tid in enumerate(names)}
    tasks = {name: place for place, name in enumerate(dict.fromkeys(event["name"] for event in events))}
    kinds = {name: place for place, name in enumerate(dict.fromkeys(event["cat"] for event in events))}
    held: dict[str, dict[str, list[float]]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "C":
            curve = held.setdefault(event["name"], {"time": [], "bytes": []})
            curve["time"].append(event["ts"])
            curve["bytes"].append(event["args"]["bytes"])
    return {
        "tracks": list(names.values()),
        "tasks": list(tasks),
        "kinds": list(kinds),
        "track": [tracks[event["tid"]] for event in events],
        "task": [tasks[event["name"]] for event in events],
        "kind": [kinds[event["cat"]] for event in events],
        "start": [event["ts"] for event in events],
        "duration": [event["dur"] for event in events],
        "firing": [event["args"]["firing"] for event in events],
        "held": {name: curve for name, curve in held.items() if len(curve["time"]) > 1},
    }


def timeline(events: dict[str, Any], name: str, cycles: float) -> Html:
    """The box that the script fills; `name`: the element that holds `events`, which are `columns` of a trace; `cycles`: of the run."""
    count = len(events["start"])
    last = max((start + spent for start, spent in zip(events["start"], events["duration"], strict=True)), default=0.0)
    buttons = [el("button", sign if sign != "0" else "all", type="button", data_act=sign, aria_label=says) for sign, says in _BUTTONS]
    controls = el("div", *buttons, el("output", ""), class_="controls")
    says = f"timeline of {whole(count)} events; arrows move it, plus and minus zoom, 0 shows all"
    canvas = el("canvas", tabindex=0, role="application", aria_label=says)
    keys = [el("span", el("i", ""), task) for task in events["tasks"][:_MOST_KEYS]]
    legend = el("div", *keys, class_="keys", aria_label="colours")
    box = el("div", controls, canvas, el("div", class_="tip", hidden=True), legend, class_="timeline", data_events=name)
    part = "" if last > cycles - 1 else f" The run takes {whole(cycles)} cycles; these are its first {whole(last)}."
    hint = (
        "Drag to move, Ctrl and the wheel or two fingers to zoom; keys: arrows, +, -, 0. A pixel of many events is as dark as it is busy."
    )
    return join([box, note(f"{whole(count)} events.{part} {hint}"), el("noscript", note("The timeline needs scripts."))])
