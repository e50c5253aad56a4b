"""Pages without a browser: well-formed and closed to the world, figures by a second way, and refusals word for word."""

from __future__ import annotations

import copy
import csv
import json
import random
import re
from html import unescape
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.cli import main
from accelsim.faults.plan import Sample
from accelsim.io.hardware import load_architecture
from accelsim.mapping.text import parse_nest
from accelsim.report.campaign import document as campaign_document
from accelsim.report.html import report as pages
from accelsim.report.html import sweep as sweep_page
from accelsim.report.html.beside import apart, ratio_text
from accelsim.report.html.markup import Html, anchor, el, embedded
from accelsim.report.html.report import report, reports
from accelsim.report.html.roofline import roofs
from accelsim.report.html.scatter import _round, _scale
from accelsim.report.schema import contract, faults
from tests.report.html.runs import KINDS, MAPPING, SIZES, Outline, read, sweep
from tests.report.test_campaign import injected
from tests.share import share

REPOSITORY = Path(__file__).parents[3]
MATMUL = 64 * 64 * 32  # multiply-adds of the product


def every(made: dict[str, Path]) -> dict[str, str]:
    """A page of every kind, and of several results together."""
    found = {kind: report(read(made[kind])) for kind in KINDS}
    found["timeline"] = report(read(made["simulation"]), read(made["trace"]))
    found["both"] = reports(["a", "b"], [read(made["evaluation"]), read(made["faster"])])
    found["all"] = reports(list(KINDS), [read(made[kind]) for kind in KINDS])
    found["campaign"] = report(campaign())
    return found


def campaign() -> dict[str, Any]:
    """A campaign of made-up faults, as its JSON is read back."""
    whole: dict[str, Any] = json.loads(json.dumps(campaign_document(injected(Sample(faults=5000)))))
    return whole


def test_pages_are_well_formed_and_load_nothing(made: dict[str, Path]) -> None:
    for kind, text in every(made).items():
        found = Outline(text)
        assert found.faults == [] and found.open == [], kind
        assert len(found.ids) == len(set(found.ids)), kind
        assert {link.removeprefix("#") for link in found.links} <= set(found.ids), kind
        assert found.loads == ["link href data:,"] and found.handlers == [], kind
        assert "http://" not in text and "https://" not in text, kind


def test_outline_finds_what_is_wrong() -> None:
    found = Outline('<p id="a"><b id="a" onclick="x()"></p></b><img src="http://x"><a href="#gone">')
    assert found.faults and found.ids == ["a", "a"] and found.handlers == ["onclick"] and found.loads == ["img src http://x"]
    assert found.links == ["#gone"]


def test_bandwidths_and_peaks_of_a_roofline_are_those_that_the_machine_states(made: dict[str, Path]) -> None:
    found = roofs(read(made["evaluation"]))
    assert found is not None
    machine = load_architecture(REPOSITORY / "hw" / "arch" / "simple.yaml")
    for each in found.memories:
        stated = machine.memories[each.name].read_bits_per_s
        assert stated is not None and each.bandwidth == pytest.approx(float(stated) / 8 * machine.copies(each.name), rel=1e-9)
    assert {each.name for each in found.memories} == set(machine.memories)
    assert dict(found.units) == {"MAC": pytest.approx(1024e9, rel=1e-9)}  # 1024 lanes, one issue a cycle of 1 GHz
    seconds = read(made["evaluation"])["latency"]["seconds"]
    assert found.rate == pytest.approx(MATMUL / seconds)


def test_nothing_goes_beyond_its_roofs(made: dict[str, Path]) -> None:
    for kind in ("evaluation", "faster"):
        found = roofs(read(made[kind]))
        assert found is not None
        assert found.rate <= min([roof for _, roof in found.units] + [each.roof for each in found.memories]) * (1 + 1e-9)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, str]], Any]:
    """The page of a sweep, the rows of its table as CSV, and its JSON."""
    folder = tmp_path_factory.mktemp("swept")
    files = {name: folder / f"sweep.{name}" for name in ("html", "csv", "json")}
    options = ["--html", str(files["html"]), "-o", str(files["csv"]), "--json", str(files["json"])]
    assert main(["explore", str(sweep(folder)), "-q", *options]) == 0
    with files["csv"].open(encoding="utf-8", newline="") as stream:
        return files["html"].read_text(encoding="utf-8"), list(csv.DictReader(stream)), read(files["json"])


def body_rows(text: str, section: str) -> list[list[tuple[str, str | None]]]:
    """Text and value of the cells of the first table of a section."""
    body = text.split(f'id="{section}"')[1].split("<tbody>")[1].split("</tbody>")[0]
    found = []
    for line in body.split("<tr>")[1:]:
        cells = re.findall(r'<t[hd]([^>]*)>(.*?)</t[hd]>', line)
        values = [next(iter(re.findall(r'data-v="([^"]*)"', attributes)), None) for attributes, _ in cells]
        texts = [unescape(re.sub(r"<[^>]*>", "", inside)) for _, inside in cells]
        found.append(list(zip(texts, values, strict=True)))
    return found


def test_page_of_a_sweep_has_every_row_of_its_table(swept: tuple[str, list[dict[str, str]], Any]) -> None:
    text, rows, _ = swept
    shown = body_rows(text, "rows")
    titles = re.findall(r"<th[^>]*>([^<]*)</th>", text.split('id="rows"')[1].split("</thead>")[0])
    assert titles[:6] == ["row", "front", "shape.k", "arch.MainMemory.bandwidth", "arch.GlobalBuffer.size", "status"]
    assert len(shown) == len(rows) == 12
    for cells, row in zip(shown, rows, strict=True):
        by_title = dict(zip(titles, cells, strict=True))
        assert by_title["row"][0] == row["row"] and by_title["command"][0] == row["command"]
        assert by_title["front"][0] == ("yes" if row["on_front"] == "true" else "–")
        assert by_title["arch.MainMemory.bandwidth"] == (row["arch.MainMemory.bandwidth"], row["arch.MainMemory.bandwidth_bits_per_s"])
        assert by_title["status"][0].split(": ")[0] == row["status"]
        for name in ("latency_s", "energy_pj"):
            assert (by_title[name][1] or "") == row[name]
    assert {row["status"] for row in rows} == {"ok", "outside"}


def test_page_of_a_sweep_draws_one_line_for_each_front(swept: tuple[str, list[dict[str, str]], Any]) -> None:
    text, rows, document = swept
    front = text.split('id="front"')[1].split("</section>")[0]
    assert re.findall(r'<text[^>]*class="name c(\d)"[^>]*>([^<]*)<', front) == [("0", "shape.k = 16"), ("1", "shape.k = 32")]
    assert len(re.findall(r"<path", front)) == 2
    dots = re.findall(r'class="dot c(\d)"/?></?[^>]*>(?:</circle>)?(?:<title>)?row (\d+):', front)
    groups = {"16": "0", "32": "1"}
    assert sorted(dots) == sorted((groups[row["shape.k"]], row["row"]) for row in rows if row["on_front"] == "true")
    assert len(dots) == len(document["front"]) and len({number for number, _ in dots}) == 2


def test_page_of_a_large_sweep_has_the_front_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_page, "MOST_ROWS", 11)
    page, saved = tmp_path / "sweep.html", tmp_path / "sweep.json"
    assert main(["explore", str(sweep(tmp_path)), "-q", "--html", str(page), "--json", str(saved)]) == 0
    shown = body_rows(page.read_text(encoding="utf-8"), "rows")
    assert [cells[0][0] for cells in shown] == [str(row["row"]) for row in read(saved)["front"]]
    assert page.read_text(encoding="utf-8") == report(read(saved))


@pytest.mark.parametrize(("option", "value"), [("show", "0"), ("sensitivity", "2")])
def test_page_of_one_row_of_a_sweep_is_refused(tmp_path: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", "matmul-small", f"--{option}", value, "-q", "--html", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.strip() == f"--html shows a whole sweep, and --{option} is of one row; leave --html out"


def test_nest_of_a_result_is_the_mapping(made: dict[str, Path]) -> None:
    for kind in ("evaluation", "simulation"):
        mapping = parse_nest(read(made[kind])["nest"])
        assert mapping.name == "tiles" and [type(node).__name__ for node in mapping.nodes] == ["Keep", "For", "For", "Keep", "Leaf"]


@pytest.mark.parametrize("kind", [*KINDS, "trace", "campaign"])
def test_results_keep_their_contracts(made: dict[str, Path], kind: str) -> None:
    document = campaign() if kind == "campaign" else read(made[kind])
    schema = contract("trace" if kind == "trace" else document["schema"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert list(faults(document, schema)) == []


def test_every_kind_that_pages_show_has_a_contract() -> None:
    for schema in pages.KINDS:
        assert contract(schema)["properties"]["schema"] == {"const": schema}


@pytest.mark.parametrize("kind", [*KINDS, "campaign"])
def test_whatever_keeps_its_contract_is_shown(made: dict[str, Path], kind: str) -> None:
    """Values are taken out or replaced in turn: what still keeps its contract makes a page, the rest would be refused."""
    whole = campaign() if kind == "campaign" else read(made[kind])
    schema = contract(whole["schema"])
    shown, every_place = 0, places(whole)
    for path in random.Random(0).sample(every_place, min(len(every_place), share(1000, 40, 15))):
        for value in (..., None, 0, [], {}, ""):
            document = changed(whole, path, value)
            if next(faults(document, schema), None) is None:
                assert report(document).startswith("<!doctype html>"), (path, value)
                shown += 1
    assert shown


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values of a document stand; of lists only the first two."""
    found = [here] if here else []
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else []
    for key, inner in items:
        found += places(inner, (*here, key))
    return found


def changed(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with one value replaced, or removed if it is `...`."""
    document = copy.deepcopy(whole)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that must be refused."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    output, message = capsys.readouterr()
    assert output == "" and message.count("\n") == 1
    return message.rstrip("\n")


def test_refusals(capsys: pytest.CaptureFixture[str], made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "bounds.json": '{"schema": "accelsim/bounds/1"}', "other.json": "{}", "broken.json": '{"schema":\n 1,}', "list.json": "[]",
        "nan.json": '{"schema": NaN}', "sim.json": '{"schema": "accelsim/simulation/1"}',
    }  # fmt: skip
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    evaluation, simulation = str(made["evaluation"]), str(made["simulation"])
    known = ", ".join(pages.KINDS)
    to = ("--html", "x.html")
    assert refused(capsys, "report", "bounds.json", *to) == f"bounds.json: no page shows 'accelsim/bounds/1'; pages show {known}"
    assert (
        refused(capsys, "report", "other.json", *to)
        == "other.json: not a result of accelsim: it names no schema; save one with --json FILE"
    )
    assert (
        refused(capsys, "report", "list.json", *to) == "list.json: not a result of accelsim: it names no schema; save one with --json FILE"
    )
    says = "broken.json:2:4: not JSON: Expecting property name enclosed in double quotes; save one with --json FILE"
    assert (
        refused(capsys, "report", "broken.json", *to).replace(
            "Illegal trailing comma before end of object", says.split(": ")[2].split(";")[0]
        )
        == says
    )
    assert refused(capsys, "report", "nan.json", *to) == "nan.json: not JSON text; save one with --json FILE"
    says = "sim.json: not accelsim/simulation/1: the document lacks 'workload'; save it again with --json FILE"
    assert refused(capsys, "report", "sim.json", *to) == says
    assert refused(capsys, "report", "gone.json", *to) == "gone.json: cannot read: No such file or directory; check the path"
    says = "--trace t.json: only a page shows the events of a simulation; add --html FILE, or leave --trace out"
    assert refused(capsys, "report", evaluation, "--trace", "t.json") == says
    says = "--trace t.json: events belong to one simulation; name the simulation's JSON alone, or leave --trace out"
    assert refused(capsys, "report", evaluation, "--trace", "t.json", *to) == says
    says = f"{evaluation}: not a trace of accelsim: the document lacks 'traceEvents'; write one with `accelsim simulate --trace FILE`"
    assert refused(capsys, "report", simulation, "--trace", evaluation, *to) == says
    assert (
        refused(capsys, "report", evaluation, simulation)
        == "2 files: a terminal shows one result at a time; add --html FILE, or name one file"
    )
    assert refused(capsys, "report", evaluation, "--html", "-") == "--html -: a page goes into a file; name one, as in --html report.html"
    says = "no/x.html: there is no folder 'no'; create it or name another"
    assert refused(capsys, "map", "attention", "--arch", "spatial", "--html", "no/x.html") == says
    says = "x.html: page and JSON do not go into one file; name two files"
    assert refused(capsys, "map", "attention", "--arch", "spatial", "--html", "x.html", "--json", "./x.html") == says
    says = "--explore-cascades and --html do not go together; leave one of the two out"
    assert refused(capsys, "map", "attention", "--arch", "spatial", "--explore-cascades", *to) == says
    many = [evaluation] * 27
    assert refused(capsys, "report", *many, *to) == "27 files: a page holds at most 26 results side by side; name fewer"
    assert not Path("x.html").exists()


def test_pages_of_commands_are_those_of_their_json(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiles.yaml").write_text(MAPPING, encoding="utf-8")
    given = ["matmul", "--arch", "simple", *SIZES, "--mapping", "tiles.yaml", "-q"]
    assert main(["evaluate", *given, "--html", "direct.html"]) == 0
    assert main(["report", str(made["evaluation"]), str(made["explanation"]), "-q", "--html", "saved.html"]) == 0
    direct, saved = (Outline(Path(name).read_text(encoding="utf-8")).ids for name in ("direct.html", "saved.html"))
    assert "why" in direct and "joules" in direct and [each for each in saved if each != "what-if"] == direct
    assert main(["simulate", *given, "--html", "direct.html"]) == 0
    assert main(["report", str(made["simulation"]), "--trace", str(made["trace"]), "-q", "--html", "saved.html"]) == 0
    direct, saved = (Path(name).read_text(encoding="utf-8") for name in ("direct.html", "saved.html"))
    assert direct == saved and 'id="events"' in direct


@given(st.text())
def test_embedded_data_is_what_went_in_and_cannot_leave_its_element(text: str) -> None:
    found = embedded("d", {text: [text]})
    inner = found[len('<script type="application/json" id="d">') : -len("</script>")]
    assert "<" not in inner and ">" not in inner and json.loads(inner) == {text: [text]}


@given(st.text())
def test_text_is_escaped_in_elements_attributes_and_anchors(text: str) -> None:
    found = el("p", text, title=text)
    assert Outline(found).faults == [] and found.count("<") == 2 and found.count('"') == 2
    assert set(anchor(text)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert el("p", Html("<b>x</b>")) == "<p><b>x</b></p>"


def test_ratios_in_words() -> None:
    says = {
        None: "–",
        1.0: "the same",
        1.0000000001: "the same",
        2.0: "2.00× more",
        0.5: "2.00× less",
        1.02: "+2\u202f%",
        0.98: "−2\u202f%",
        0.0: "none",
    }
    assert {ratio: apart(ratio) for ratio in says} == says
    assert [ratio_text(ratio) for ratio in (None, 1.0, 1.004, 0.5, 1234.0)] == ["–", "the same", "1.0040×", "0.5×", "1,234×"]


@given(st.lists(st.floats(1e-12, 1e15), min_size=1, max_size=9))
def test_axes_hold_their_values_in_order(values: list[float]) -> None:
    scale = _scale(values, 100.0, 500.0)
    placed = [scale.place(value) for value in sorted(values)]
    assert placed == sorted(placed) and placed[0] >= 100 - 1e-6 and placed[-1] <= 500 + 1e-6
    assert all(100 - 1e-6 <= scale.place(tick) <= 500 + 1e-6 for tick in scale.ticks)


@given(st.floats(1e-9, 1e9))
def test_steps_are_round(value: float) -> None:
    step = _round(value)
    assert value <= step * (1 + 1e-12) and step <= 2.5 * value * (1 + 1e-12)
    assert f"{step:.0e}"[0] in "125"
