"""Completion in real shells: what a person who presses Tab is offered."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.commands.completing import bash, commands_of, fish, words_of, zsh
from accelsim.commands.parser import parser
from accelsim.errors import InputError

REPOSITORY = Path(__file__).parent.parent
BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _accelsim
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { :; }; compadd() { shift; print -l -- "$@" | grep -- "^$words[CURRENT]"; }; _files() { print FILES; }
source "$1"; shift
words=("$@"); CURRENT=$#; _accelsim
"""
CASES = [
    (["accelsim", "ev"], {"evaluate"}, set()),
    (["accelsim", "map", "atten"], {"attention"}, {"matmul"}),
    (["accelsim", "map", "attention", "--arch", "sp"], {"spatial"}, {"simple", "attention"}),
    (["accelsim", "map", "attention", "--ob"], {"--objective"}, {"--arch"}),
    (["accelsim", "map", "attention", "--objective", "e"], {"energy", "edp"}, {"latency"}),
    (["accelsim", "inject", "proc"], {"processor-mlp"}, set()),
    (["accelsim", "list", "dr"], {"drams"}, {"archs"}),
    (["accelsim", "schema", "mach"], {"machine"}, {"workload"}),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of each shell, and one with the command."""
    folder = tmp_path_factory.mktemp("scripts")
    commands = commands_of(parser()[1])
    for name, write in (("bash", bash), ("zsh", zsh), ("fish", fish)):
        (folder / name).write_text("\n".join(write(commands)) + "\n", encoding="utf-8")
    command = folder / "bin" / "accelsim"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m accelsim "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return folder


def shell(scripts: Path, name: str, code: str, words: list[str]) -> set[str]:
    """What a shell offers; one that is not installed is left out, since no test needs root."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    inside = dict(os.environ, PATH=f"{scripts / 'bin'}:{os.environ['PATH']}")
    quiet = ["--norc"] if name == "bash" else ["-f"]
    done = subprocess.run([name, *quiet, "-c", code, name, str(scripts / name), *words], capture_output=True, text=True, env=inside)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(("words", "offered", "not_offered"), CASES, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
@pytest.mark.parametrize(("name", "code"), [("bash", BASH), ("zsh", ZSH)])
def test_words_are_offered_where_they_may_stand(
    scripts: Path, name: str, code: str, words: list[str], offered: set[str], not_offered: set[str]
) -> None:
    found = shell(scripts, name, code, words)
    assert offered <= found and not (not_offered & found)


@pytest.mark.parametrize(("words", "offered", "not_offered"), CASES, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
def test_fish_offers_them_too(scripts: Path, words: list[str], offered: set[str], not_offered: set[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    inside = dict(os.environ, PATH=f"{scripts / 'bin'}:{os.environ['PATH']}", HOME=str(scripts))
    code = f"source {scripts / 'fish'}; complete -C '{' '.join(words)}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, env=inside)
    found = {line.split("\t")[0] for line in done.stdout.splitlines()}
    assert done.stderr == "" and offered <= found and not (not_offered & found)


def test_files_are_left_to_the_shell(scripts: Path) -> None:
    assert shell(scripts, "bash", BASH, ["accelsim", "map", "attention", "-o", "x"]) == set()
    assert shell(scripts, "bash", BASH, ["accelsim", "report", "x"]) == set()


def test_names_are_offered_in_a_tenth_of_a_second_of_cpu_time() -> None:
    """150 ms is what a person does not feel; beside other work a clock on the wall would measure that work."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = "import sys; from accelsim.cli import main; sys.exit(main(['completion', '--words', 'archs']))"
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.15


def test_words_of_no_kind_are_refused() -> None:
    with pytest.raises(InputError, match="there are no words for 'arch'; did you mean 'archs'"):
        words_of("arch")


def test_every_option_of_every_command_is_known_to_each_script() -> None:
    commands = commands_of(parser()[1])
    for write in (bash, zsh, fish):
        script = "\n".join(write(commands))
        for command in commands:
            assert command.name in script
            for option in command.options:
                assert all(word.lstrip("-") in script for word in option.words)


def test_every_command_says_of_its_mapping_that_it_is_one() -> None:
    helps = {name: action.help or "" for name, each in parser()[1].items() for action in each._actions if action.dest == "mapping"}
    assert set(helps) == {"evaluate", "explain", "simulate", "cosim", "export-program"}
    assert all(text.startswith("a mapping: a file or a name") for text in helps.values()), helps
