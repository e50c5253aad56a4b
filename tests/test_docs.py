"""Every command that README.md, docs/*.md and docs/tutorials/*.md show is run, and prints what they show.

In a block marked `sh`, a line `$ accelsim …` or `$ python FILE` is a command and the lines up to the next one are what it prints; a line
`…` stands for any lines, and a command without such lines must only succeed. A block whose first line is `# file: NAME` is written to that
name first, without that line where the file is no YAML. The seconds that a search took may differ.
`ACCELSIM_REWRITE=1 pytest tests/test_docs.py` puts the true output in; read the diff.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.commands.parser import parser

REPOSITORY = Path(__file__).parent.parent
TUTORIALS = sorted((REPOSITORY / "docs" / "tutorials").glob("*.md"))
PAGES = [path for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), *TUTORIALS) if path.exists()]
# Pages of which every Python block stands alone.
PROGRAMS = {"README.md", "dram.md", "explain.md", "explore.md", "faults-gates.md", "faults-mapped.md", "simulator.md", "transform.md"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SEARCH = "Search for "
SECONDS = re.compile(r"\bin \d+\.\d s;")
PROMPTS = ("$ accelsim", "$ python ")
HINT = "prints something else now; if it is right, put it in with ACCELSIM_REWRITE=1 and read the diff:"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a page shows, and the lines that it says the command prints."""

    line: str
    prints: tuple[str, ...]


def commands(block: str) -> Iterator[Command]:
    """The commands of a block marked `sh`."""
    shown: list[list[str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            shown.append([line])
        elif shown:
            shown[-1].append(line.rstrip())
    for first, *rest in shown:
        if first.startswith(PROMPTS):
            yield Command(first.removeprefix("$ "), tuple("\n".join(rest).strip("\n").splitlines()))


def matches(shown: tuple[str, ...], printed: tuple[str, ...]) -> bool:
    """Whether printed lines are the shown ones; `…` stands for any lines, the seconds of a search for any seconds."""
    return _match(timeless(shown), timeless(printed))


def _match(shown: tuple[str, ...], printed: tuple[str, ...]) -> bool:
    if not shown:
        return not printed
    if shown[0].strip() in {"…", "..."}:
        return any(_match(shown[1:], printed[at:]) for at in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and _match(shown[1:], printed[1:])


def timeless(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines with the sentence about the search in one line, however it was wrapped, and less the seconds that it took."""
    found: list[str] = []
    for line in lines:
        if found and found[-1].startswith(SEARCH) and not found[-1].endswith("."):
            found[-1] += f" {line.rstrip()}"
        else:
            found.append(line.rstrip())
    return tuple(SECONDS.sub("in T s;", line) if line.startswith(SEARCH) else line for line in found)


def _shortened(printed: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """Printed lines left out where the page left lines out before."""
    dots = [at for at, line in enumerate(before) if line.strip() == "…"]
    if len(dots) != 1 or len(printed) < len(before):
        return printed
    tail = len(before) - 1 - dots[0]
    return (*printed[: dots[0]], "…", *printed[len(printed) - tail :])


def execute(line: str) -> tuple[int, tuple[str, ...]]:
    """Exit code and printed lines of a command; a comment after it is dropped."""
    out = io.StringIO()
    program, *arguments = shlex.split(line, comments=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(arguments) if program == "accelsim" else _program(arguments)
    return code, tuple(text.rstrip() for text in out.getvalue().strip("\n").splitlines())


def _program(arguments: list[str]) -> int:
    """Run a file of Python as a program of its own."""
    assert len(arguments) == 1, f"python {shlex.join(arguments)}: one file, without arguments"
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the repository to a reader who types the commands."""
    for name in ("workloads", "hw", "mappings", "campaigns"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_of_a_page_prints_what_the_page_shows(page: Path, folder: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rewritten = text
    for kind, block in BLOCK.findall(text):
        if block.startswith("# file: "):
            first, _, rest = block.partition("\n")
            file = folder / first.removeprefix("# file: ").strip()
            file.write_text(block if file.suffix == ".yaml" else rest, encoding="utf-8")
        if kind == "python" and page.name in PROGRAMS:
            exec(compile(block, page.name, "exec"), {})
        if kind != "sh":
            continue
        new = block
        for command in commands(block):
            code, printed = execute(command.line)
            if os.environ.get("ACCELSIM_REWRITE"):
                if command.prints and not matches(command.prints, printed):
                    shown = "\n".join((command.line, *_shortened(printed, command.prints)))
                    new = new.replace("\n".join((command.line, *command.prints)), shown)
                continue
            if command.prints:
                assert matches(command.prints, printed), f"{command.line}\n{HINT}\n" + "\n".join(printed)
            else:
                assert code == 0, f"{command.line}\nprinted\n" + "\n".join(printed)
        rewritten = rewritten.replace(block, new)
    if os.environ.get("ACCELSIM_REWRITE"):
        page.write_text(rewritten, encoding="utf-8")


def test_pages_are_found() -> None:
    assert "README.md" in [page.name for page in PAGES]


def test_output_that_differs_is_noticed() -> None:
    assert matches(("Search for it: in 2.3 s; not", "best.", "…", "z"), ("Search for it: in 19.0 s;", "not best.", "b", "c", "z"))
    assert not matches(("Search for it: in 2.3 s; 1.0x.",), ("Search for it: in 2.3 s; 1.1x.",))
    assert not matches(("time 2.3 s",), ("time 2.4 s",))
    assert not matches(("a", "7.25 ms"), ("a", "7.26 ms"))
    assert not matches(("a",), ("a", "b"))


def test_commands_of_a_block_are_told_from_what_they_print() -> None:
    block = "$ accelsim list archs   # all\nspatial\n\nsimple\n$ make demo\n$ accelsim --help\n$ python one.py\n1\n"
    listed = Command("accelsim list archs   # all", ("spatial", "", "simple"))
    assert list(commands(block)) == [listed, Command("accelsim --help", ()), Command("python one.py", ("1",))]


def test_program_of_a_page_runs_as_one_and_what_it_prints_is_seen(folder: Path) -> None:
    (folder / "one.py").write_text("print(__name__, 1 + 1)\n")
    assert execute("python one.py") == (0, ("__main__ 2",))
    (folder / "two.py").write_text("assert 1 == 2\n")
    with pytest.raises(AssertionError):
        execute("python two.py")


def test_every_tutorial_is_listed_and_runs_a_command() -> None:
    index = (REPOSITORY / "docs" / "tutorials" / "README.md").read_text(encoding="utf-8")
    lessons = [path for path in TUTORIALS if path.name != "README.md"]
    assert len(lessons) >= 10
    for path in lessons:
        assert f"]({path.name})" in index
        blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
        assert any(command.prints for kind, block in blocks if kind == "sh" for command in commands(block)), path.name


def test_every_command_has_its_section() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(parser()[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)  # `max[m](X)` in code is no link
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose)
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []
