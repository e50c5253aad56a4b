"""The documentation as a site: it builds without a warning, holds every page, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
CITATION = REPOSITORY / "CITATION.cff"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-c",
        "docs/site",
        "-d",
        str(folder / "trees"),
        ".",
        str(folder / "html"),
    ]
    done = subprocess.run([sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.mark.slow
def test_site_holds_every_page_and_its_links_lead_somewhere(site: Path) -> None:
    pages = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
    for page in pages:
        assert (site / page.relative_to(REPOSITORY).with_suffix(".html")).is_file(), page
    assert "url=README.html" in (site / "index.html").read_text(encoding="utf-8")
    lost = []
    for page in site.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#?]+)[^"]*"', page.read_text(encoding="utf-8")):
            if "://" not in link and not link.startswith(("mailto:", "data:")) and not (page.parent / unquote(link)).exists():
                lost.append(f"{page.relative_to(site)}: {link}")
    assert lost == []


@pytest.mark.slow
def test_reference_has_signatures_and_docstrings(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "docs" / "site" / "reference.html").read_text(encoding="utf-8"))
    for words in (
        "accelsim.verbs.evaluate(",
        "Price a given mapping",
        "class accelsim.hardware.architecture.Memory",
        "exception accelsim.errors.InputError",
    ):
        assert words in text


def test_citation_names_what_is_needed() -> None:
    """What the Citation File Format 1.2.0 requires, its date and version forms, and the version of the package."""
    import accelsim

    found = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    known = {"abstract", "authors", "cff-version", "keywords", "license", "message", "title", "type", "version"}
    assert set(found) <= known and found["cff-version"] == "1.2.0" and found["type"] == "software"
    assert found["authors"] and all(set(author) <= {"name", "family-names", "given-names"} for author in found["authors"])
    assert (found["version"], found["license"]) == (accelsim.__version__, "Apache-2.0")
    assert len(set(found["keywords"])) == len(found["keywords"])
