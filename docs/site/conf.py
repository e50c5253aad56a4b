"""The documentation as a site: the Markdown of the repository as it is, and a reference from docstrings. `make docs` builds it.

The source folder is the repository, so that links between pages, and to the files that they speak of, lead somewhere in the site too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import accelsim  # noqa: E402

project = "accelsim"
author = "The accelsim contributors"
copyright = "the accelsim contributors, Apache-2.0"
release = version = accelsim.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "notebooks/README.md"]
exclude_patterns = ["docs/site/templates/**"]
templates_path = ["templates"]
source_suffix = {".md": "markdown"}
nitpicky = False
default_role = "code"  # single backticks in docstrings are code, as in Markdown

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Pages may begin with a second level under a table; `nest` and `csv` are no languages that are coloured, and shell blocks show output.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"

html_theme = "furo"
html_title = f"accelsim {version}"
html_additional_pages = {"index": "to_start.html"}
html_show_sourcelink = False
html_static_path: list[str] = []

_PAGES = """

```{toctree}
:hidden:
:caption: Start
:glob:

docs/tutorials/README
docs/tutorials/*
docs/api
```

```{toctree}
:hidden:
:caption: Pages
:glob:

docs/*
notebooks/README
```

```{toctree}
:hidden:
:caption: Project

docs/site/reference
CHANGELOG
CONTRIBUTING
```
"""


def setup(app: Any) -> None:
    """What the pages need to become a site."""
    app.connect("source-read", add_contents)
    app.connect("source-read", leave_folders)


def add_contents(app: Any, page: str, source: list[str]) -> None:
    """The start page lists all others; in the repository, where it is read too, it does without."""
    if page == root_doc:
        there = (ROOT / "docs" / "tutorials" / "README.md").exists()
        source[0] += _PAGES if there else _PAGES.replace("docs/tutorials/README\n", "").replace("docs/tutorials/*\n", "")


def leave_folders(app: Any, page: str, source: list[str]) -> None:
    """Links to folders, and to pages that are not part of the site, are left as their words; files become downloads by themselves."""
    here = (ROOT / page).parent
    inside = re.compile(r"(README|CHANGELOG|CONTRIBUTING|docs/.+|notebooks/README)\.md")

    def kept(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        is_page = target.suffix == ".md" and target.is_relative_to(ROOT) and inside.fullmatch(target.relative_to(ROOT).as_posix())
        return link[1] if target.is_dir() or (target.suffix == ".md" and target.is_file() and not is_page) else link[0]

    source[0] = re.sub(r"\[([^][]+)\]\(([^()#:\s]+)\)", kept, source[0])
