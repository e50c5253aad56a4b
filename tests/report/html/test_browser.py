"""Pages in a real browser: nothing on the console or the network, the right figures, tables that sort, a timeline that zooms."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.report.html.report import report, reports
from tests.report.html.browser import Browser
from tests.report.html.runs import KINDS, read

COLUMN = "[...document.querySelectorAll('#{section} tbody tr')].map((row) => row.cells[{column}].textContent)"
BOXES = """[...document.querySelectorAll('#front {which}')].map((each) => each.getBoundingClientRect())
    .map((box) => [box.left, box.top, box.right, box.bottom])"""
FIGURE = "document.querySelector('[data-figure=\"{name}\"]').title"
TEXT, LINES = 4.5, 3.0  # contrast that WCAG 2.1 AA asks of text, and of large text and parts of drawings


def shown(browser: Browser, path: Path, width: int = 1200, dark: bool = False) -> None:
    """Open a page; it says nothing and asks for nothing but itself."""
    browser.size(width, 800, dark)
    browser.open(path)
    browser.frame()
    silent(browser, path)


def silent(browser: Browser, path: Path) -> None:
    """Nothing is on the console, and nothing was asked for but the page."""
    assert browser.complaints == []
    assert browser.requests == [path.resolve().as_uri()]


def page(folder: Path, text: str) -> Path:
    """A page as a file."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def first_map(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The page of the first map of the README, and its JSON."""
    folder = tmp_path_factory.mktemp("first")
    target, document = folder / "first.html", folder / "first.json"
    assert main(["map", "attention", "--arch", "spatial", "-q", "--html", str(target), "--json", str(document)]) == 0
    return target, read(document)


def test_first_map_shows_its_figures(browser: Browser, first_map: tuple[Path, Any]) -> None:
    path, document = first_map
    shown(browser, path)
    assert browser.run("document.title") == "attention on spatial"
    assert browser.run(FIGURE.format(name="time")) == f"{document['latency']['seconds']!r} s"
    assert browser.run(FIGURE.format(name="energy")) == f"{document['energy_pj']!r} pJ"
    assert document["limits"]["resource"] in browser.run("document.querySelector('.limits strong').textContent")
    assert browser.run(COLUMN.format(section="components", column=0)) == list(document["components"])
    busy = browser.run("[...document.querySelectorAll('#components tbody tr')].map((row) => row.cells[2].dataset.v ?? null)")
    assert [None if each is None else float(each) for each in busy] == [row["busy_cycles"] for row in document["components"].values()]
    words = browser.run("[...document.querySelectorAll('#tensors tbody tr')].map((row) => "
                        "[0, 1, 2].map((c) => row.cells[c].textContent).concat("
                        "[3, 4, 5, 6, 7].map((c) => Number(row.cells[c].dataset.v))))")  # fmt: skip
    keys = ("reads", "fills", "updates", "drains", "tile_words")
    assert words == [
        [tensor, einsum, memory, *(counts[key] for key in keys)]
        for einsum, row in document["einsums"].items() for tensor, memories in row["tensors"].items() for memory, counts in memories.items()
    ]  # fmt: skip
    lines = browser.run(
        "[...document.querySelectorAll('.loops summary, .loops li > div')].map((each) => each.innerText.split('#')[0].trim())"
    )
    assert lines == [line.split("  # ")[0].strip() for line in document["nest"].splitlines()[1:]]


def test_tables_sort_by_pointer_and_by_key(browser: Browser, first_map: tuple[Path, Any]) -> None:
    path, document = first_map
    shown(browser, path)
    names = list(document["einsums"])
    by_energy = sorted(names, key=lambda name: -document["einsums"][name]["energy_pj"])
    head = "document.querySelector('#einsums thead th:last-child')"
    browser.run(f"{head}.querySelector('button').click()")
    assert browser.run(COLUMN.format(section="einsums", column=0)) == by_energy
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending"
    browser.run(f"{head}.querySelector('button').focus()")
    browser.press("Enter")
    assert browser.run(COLUMN.format(section="einsums", column=0)) == by_energy[::-1]
    browser.press("Enter")  # the third press brings the first order back
    assert browser.run(COLUMN.format(section="einsums", column=0)) == names
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "none"
    browser.run("document.querySelector('#einsums thead th button').click()")
    assert browser.run(COLUMN.format(section="einsums", column=0)) == sorted(names)


def test_every_table_of_every_kind_sorts(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    for kind in KINDS:
        path = page(tmp_path, report(read(made[kind])))
        shown(browser, path)
        faults = browser.run("""[...document.querySelectorAll('thead th.number')].filter((head) => {
            head.querySelector('button').click();
            const rows = [...head.closest('table').tBodies[0].rows], column = head.cellIndex;
            const values = rows.map((row) => row.cells[column].dataset.v).filter((value) => value !== undefined).map(Number);
            return values.some((value, place) => place && value > values[place - 1]);
        }).map((head) => head.textContent)""")
        assert faults == []
        silent(browser, path)


def test_rows_are_found(browser: Browser, first_map: tuple[Path, Any]) -> None:
    shown(browser, first_map[0])
    browser.run("document.querySelector('#tensors .find').focus()")
    browser.ask("Input.insertText", text="reg2d")
    found = browser.run("[...document.querySelectorAll('#tensors tbody tr:not([hidden])')].map((row) => row.cells[2].textContent)")
    assert found and set(found) == {"REG2D"}


def window(browser: Browser) -> tuple[float, float]:
    """The first and the last cycle that the timeline shows."""
    browser.frame()
    found = browser.run("(({from, to}) => [Number(from), Number(to)])(document.querySelector('.timeline').dataset)")
    return found[0], found[1]


def test_timeline_zooms_and_moves(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    trace = read(made["trace"])
    path = page(tmp_path, report(read(made["simulation"]), trace))
    shown(browser, path)
    ends = [each["ts"] + each.get("dur", 0) for each in trace["traceEvents"] if "ts" in each]
    whole = window(browser)
    assert whole == (0, max(ends))
    browser.run("document.querySelector('.timeline canvas').focus()")
    browser.press("+", "+")
    assert window(browser) == pytest.approx((whole[1] / 4, 3 * whole[1] / 4))
    browser.press("ArrowRight")
    assert window(browser) == pytest.approx((3 * whole[1] / 8, 7 * whole[1] / 8))
    browser.press("0", "0")
    assert window(browser) == whole
    box = browser.run("document.querySelector('.timeline canvas').scrollIntoView({block: 'center'}), "
                      "(({x, y, width}) => [x, y, width])(document.querySelector('.timeline canvas').getBoundingClientRect())")  # fmt: skip
    third = box[0] + 120 + (box[2] - 120) / 3  # names take 120 pixels: a third of the run stands here
    browser.mouse("mouseWheel", third, box[1] + 40, deltaX=0, deltaY=-400, modifiers=2)
    begin, end = window(browser)
    assert end - begin < 0.7 * whole[1] and begin + (end - begin) / 3 == pytest.approx(whole[1] / 3)
    browser.mouse("mousePressed", third, box[1] + 40, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseMoved", third - (box[2] - 120) / 10, box[1] + 40, button="left", buttons=1)
    browser.mouse("mouseReleased", third - (box[2] - 120) / 10, box[1] + 40, button="left", buttons=0, clickCount=1)
    assert window(browser) == pytest.approx((begin + (end - begin) / 10, end + (end - begin) / 10))
    silent(browser, path)


def test_timeline_names_the_event_under_the_pointer_and_is_empty_where_nothing_runs(browser: Browser, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [{"ph": "M", "name": "thread_name", "pid": 0, "tid": 0, "args": {"name": "unit"}}]
    events += [{"ph": "X", "name": name, "cat": "work", "pid": 0, "tid": 0, "ts": begin, "dur": 200.0, "args": {"firing": number}}
               for number, (name, begin) in enumerate([("first", 0.0), ("second", 800.0)])]  # fmt: skip
    path = page(tmp_path, report(tiny(), {"traceEvents": events}))
    shown(browser, path)
    box = browser.run("document.querySelector('.timeline canvas').scrollIntoView({block: 'center'}), "
                      "(({x, y, width}) => [x, y, width])(document.querySelector('.timeline canvas').getBoundingClientRect())")  # fmt: skip
    says = []
    for share in (0.1, 0.45, 0.9):  # of the run: inside the first, between both, inside the second
        browser.mouse("mouseMoved", box[0] + 120 + share * (box[2] - 120), box[1] + 36)
        says.append(browser.run("(({hidden, textContent}) => hidden ? '' : textContent)(document.querySelector('.tip'))"))
    assert "first" in says[0] and "0 to 200, 200 cycles" in says[0] and says[1] == "" and "second" in says[2]
    coloured = browser.run("""[0.1, 0.45, 0.9].map((share) => { const canvas = document.querySelector('.timeline canvas');
        const x = 120 + share * (canvas.width - 120); return canvas.getContext('2d').getImageData(x, 44, 1, 1).data[3] > 0; })""")
    assert coloured == [True, False, True]
    # the legend has the colours of the slices
    drawn = browser.run("""[0.1, 0.9].map((share) => { const canvas = document.querySelector('.timeline canvas');
        return [...canvas.getContext('2d').getImageData(120 + share * (canvas.width - 120), 44, 1, 1).data].slice(0, 3); })""")
    keys = browser.run("""[...document.querySelectorAll('.timeline .keys span')].map((key) => [key.textContent,
        getComputedStyle(key.querySelector('i')).backgroundColor.match(/[0-9]+/g).map(Number)])""")
    assert [name for name, _ in keys] == ["first", "second"]
    assert all(abs(one - other) <= 2 for at in (0, 1) for one, other in zip(keys[at][1], drawn[at], strict=True))


def test_curve_of_what_a_memory_holds_is_drawn_as_steps(browser: Browser, tmp_path: Path) -> None:
    """Many points within ten cycles that end at 2 bytes, which stay until cycle 500; then 1 byte to the end at 1000."""
    steps = [(10 * number / 1000, 1 + number % 2) for number in range(1000)] + [(500.0, 1), (1000.0, 1)]
    events: list[dict[str, Any]] = [{"ph": "C", "name": "buffer", "pid": 0, "ts": time, "args": {"bytes": held}} for time, held in steps]
    path = page(tmp_path, report(tiny(), {"traceEvents": events}))
    shown(browser, path)
    # 24 pixels of axis, then 64 of which 56 are the two bytes: 40 pixels up is above one byte and below two, 20 is below one
    drawn = browser.run("""[0.13, 0.33, 0.47, 0.53, 0.73, 0.93].map((share) => { const canvas = document.querySelector('.timeline canvas');
        const x = Math.round(120 + share * (canvas.width - 120)), base = 24 + 64 - 2;
        return [40, 20].map((up) => canvas.getContext('2d').getImageData(x, base - up, 1, 1).data[3] > 0); })""")
    assert drawn == [[True, True]] * 3 + [[False, True]] * 3


def test_timeline_of_a_hundred_thousand_events_draws_no_more_than_its_pixels(browser: Browser, tmp_path: Path) -> None:
    rng, tracks, count, width = random.Random(0), 8, 100_000, 1200
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": number, "args": {"name": f"copy {number}"}} for number in range(tracks)
    ]
    now = [0.0] * tracks
    for number in range(count):
        track = number % tracks
        begin = now[track] + rng.random()
        now[track] = begin + rng.random() * 3
        event = {"ph": "X", "name": f"task {number % 5}", "cat": "work", "pid": 0, "tid": track, "args": {"firing": number}}
        events.append(event | {"ts": begin, "dur": now[track] - begin})
    path = page(tmp_path, report(tiny(), {"traceEvents": events}))
    shown(browser, path, width)
    browser.run("""(() => { const real = CanvasRenderingContext2D.prototype.fillRect; window.drawn = 0;
        CanvasRenderingContext2D.prototype.fillRect = function (...of) { window.drawn += 1; return real.apply(this, of); }; })()""")
    browser.run("document.querySelector('.timeline canvas').focus()")
    for key in ("0", "+", "+", "+", "+", "+", "+", "+", "+"):
        browser.run("window.drawn = 0")
        browser.press(key, key)
        browser.frame()
        assert 0 < browser.run("window.drawn") < tracks * width * 1.1
    assert browser.run("window.drawn") < 20_000  # zoomed in 256 times, of 390 events each drawn once


def test_numbers_on_the_axis_of_a_timeline_lie_apart_wherever_it_is_moved(browser: Browser, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [{"ph": "C", "name": "buffer", "pid": 0, "ts": time, "args": {"bytes": 1}} for time in (0.0, 6e9)]
    path = page(tmp_path, report(tiny(), {"traceEvents": events}))
    shown(browser, path)
    browser.run("""(() => { const draw = CanvasRenderingContext2D.prototype.fillText; window.numbers = [];
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          const wide = this.measureText(text).width, begin = x - wide * { left: 0, center: 0.5, right: 1 }[this.textAlign];
          if (y === 8) window.numbers.push([begin, begin + wide]);
          draw.call(this, text, x, y); }; })()""")
    browser.run("document.querySelector('.timeline canvas').focus()")
    wide = browser.run("document.querySelector('.timeline canvas').getBoundingClientRect().width")
    for _ in range(5):
        browser.press("+", "+")
    for _ in range(12):
        browser.frame()
        browser.run("window.numbers.length = 0")
        browser.press("ArrowRight")
        browser.frame()
        numbers = browser.run("window.numbers")
        assert len(numbers) > 3 and numbers[-1][1] <= wide + 1
        assert all(end < begin for (_, end), (begin, _) in pairwise(numbers))


def test_names_of_fronts_lie_beside_their_lines_and_apart(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    """Twelve fronts that end at nearly one height, two of them under long names: boxes as the browser has laid them out."""
    document = read(made["exploration"])
    first = document["front"][0]
    names = [f"{number}" for number in range(10)] + ["CAPITALS OF A MACHINE OR A RANK", "a name that is longer than there is room for"]
    document["front"] = [
        first | {"row": row, "shape.k": name, "latency_s": first["latency_s"] * (1 + row + 0.1 * number)}
        for number, name in enumerate(names) for row in range(2)
    ]  # fmt: skip
    path = page(tmp_path, report({name: value for name, value in document.items() if name != "rows"}))
    for width in (1200, 360):
        shown(browser, path, width)
        (whole,), texts, drawn = (browser.run(BOXES.format(which=which)) for which in ("svg", ".name", ":is(.roof, .dot, .grid, .tick)"))
        assert len(texts) == len(names) and len(drawn) > 2 * len(names)
        for number, (left, top, right, bottom) in enumerate(texts):
            assert whole[0] <= left and whole[1] <= top and right <= whole[2] + 1 and bottom <= whole[3]
            for others in (*drawn, *texts[:number]):
                assert left >= others[2] or right <= others[0] or top >= others[3] - 2 or bottom <= others[1] + 2


def tiny() -> dict[str, Any]:
    """A simulation without anything."""
    latency = {"cycles": 1000, "seconds": 1e-6}
    return {
        "schema": "accelsim/simulation/1", "workload": "w", "architecture": "m", "mapping": "x", "counting": {}, "latency": latency,
        "energy_pj": 1.0, "model": {"cycles": 1000, "steady_cycles": 1000.0}, "units": {}, "ports": {}, "firings": {},
    }  # fmt: skip


def test_names_are_text_whatever_they_hold(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    evil = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\"'&amp;"
    text = json.dumps(read(made["evaluation"]))
    for name in ("matmul", "MAC", "MainMemory", "GlobalBuffer", "tiles"):
        text = text.replace(name, json.dumps(name + evil)[1:-1])
    path = page(tmp_path, report(json.loads(text)))
    shown(browser, path)
    assert browser.run("window.hacked ?? null") is None and browser.run("document.images.length") == 0
    assert browser.run("document.title") == f"matmul{evil} on simple"
    assert browser.run(COLUMN.format(section="components", column=0)) == [name + evil for name in ("MainMemory", "GlobalBuffer", "MAC")]
    events = {"traceEvents": [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": 0, "args": {"name": f"unit{evil}"}},
        {"ph": "X", "name": evil, "cat": evil, "pid": 0, "tid": 0, "ts": 0.0, "dur": 5.0, "args": {"firing": 0}},
    ]}  # fmt: skip
    path = page(tmp_path, report(tiny(), events))
    shown(browser, path)
    assert browser.run("JSON.parse(document.getElementById('events').textContent).tracks") == [f"unit{evil}"]
    assert browser.run("window.hacked ?? null") is None and browser.run("document.images.length") == 0


def test_two_runs_side_by_side(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    first, second = read(made["evaluation"]), read(made["faster"])
    path = page(tmp_path, reports(["a.json", "b.json"], [first, second]))
    shown(browser, path)
    rows = browser.run("[...document.querySelectorAll('#both-headline_20figures tbody tr')].map((row) => "
                       "[row.cells[0].textContent, Number(row.cells[3].dataset.v), Number(row.cells[4].dataset.v), "
                       "row.cells[4].className])")  # fmt: skip
    by_name = {row[0]: row[1:] for row in rows}
    cycles = [each["latency"]["cycles"] for each in (first, second)]
    assert cycles[1] < cycles[0]
    assert by_name["cycles"] == [cycles[1] - cycles[0], pytest.approx(cycles[1] / cycles[0]), "number better"]
    assert by_name["energy"] == [0, pytest.approx(1), "number"]
    path = page(tmp_path, reports(["b.json", "a.json"], [second, first]))
    shown(browser, path)
    assert "more" in browser.run("document.querySelector('[data-figure=time] .worse').textContent")


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_narrow_screen_and_have_contrast(browser: Browser, made: dict[str, Path], tmp_path: Path, dark: bool) -> None:
    pages = {kind: report(read(made[kind]), read(made["trace"]) if kind == "simulation" else None) for kind in KINDS}
    pages["both"] = reports(["a.json", "b.json"], [read(made["evaluation"]), read(made["faster"])])
    for text in pages.values():
        path = page(tmp_path, text)
        shown(browser, path, 360, dark)
        assert browser.run("document.documentElement.scrollWidth") <= 360
        for ink, paper, least in (
            ("ink", "paper", TEXT), ("ink", "card", TEXT), ("soft", "paper", TEXT), ("soft", "card", TEXT), ("link", "card", TEXT),
            ("limit", "card", TEXT), ("better", "good", TEXT), ("worse", "bad", TEXT), ("busy", "card", LINES), ("energy", "card", LINES),
            ("traffic", "card", LINES), *((f"c{number}", "card", LINES) for number in range(6)),
        ):  # fmt: skip
            colours = browser.run(
                f"['{ink}', '{paper}'].map((name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name))"
            )
            assert contrast(*colours) >= least, (ink, paper, colours)


def contrast(*colours: str) -> float:
    """Contrast of two colours as WCAG 2.1 defines it."""
    lights = []
    for colour in colours:
        digits = colour.strip().lstrip("#")
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_contrast_is_that_of_its_definition() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)  # just below what text needs


def test_theme_changes_by_its_button_and_printing_opens_everything(browser: Browser, made: dict[str, Path], tmp_path: Path) -> None:
    path = page(tmp_path, reports(["a.json", "b.json"], [read(made["evaluation"]), read(made["simulation"])]))
    shown(browser, path)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(paper)
    browser.run("document.getElementById('theme').click()")
    assert browser.run(paper) != light
    assert browser.run("document.querySelectorAll('details:not([open])').length") > 0
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0
    silent(browser, path)


def test_browser_hears_complaints(browser: Browser, tmp_path: Path) -> None:
    path = page(tmp_path, '<img src="https://example.org/x.png"><script>console.error("said"); throw new Error("thrown")</script>')
    browser.open(path)
    browser.frame()
    assert any("said" in each for each in browser.complaints) and any("thrown" in each for each in browser.complaints)
    assert "https://example.org/x.png" in browser.requests
