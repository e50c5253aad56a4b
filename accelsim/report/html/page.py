"""A page that is one file: style, scripts and data stand in it, and it fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import accelsim
from accelsim.report.html.assets import SCRIPTS, STYLES, asset
from accelsim.report.html.markup import Html, Section, el, embedded, join


def page(title: str, head: Html, sections: Sequence[Section], data: dict[str, Any]) -> str:
    """The page. `head`: what stands above all sections; `data`: what scripts read, by the id of its element."""
    scripts = [asset(name) for name in SCRIPTS]
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'; form-action 'none'"
    links = [el("a", section.title, href=f"#{section.name}") for section in sections]
    navigation = el("nav", *links, aria_label="sections")
    bar = el("header", el("a", "accelsim", href="#top", class_="brand"), navigation, el("div", class_="controls"), class_="top")
    parts = [el("section", el("h2", part.title), part.body, id=part.name, class_="card") for part in sections]
    made = f"Made by accelsim {accelsim.__version__}. Every column of every table sorts; dots and lines of drawings name themselves."
    body = el(
        "body",
        el("a", "to the content", href="#content", class_="skip"),
        bar,
        el("main", head, *parts, id="content"),
        el("footer", el("p", made)),
        *(embedded(name, value) for name, value in data.items()),
        *(Html(f"<script>{text}</script>") for text in scripts),
        id="top",
    )
    about = [
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        Html(f"<style>{''.join(asset(name) for name in STYLES)}</style>"),
        Html('<link rel="icon" href="data:,">'),
    ]
    return f"<!doctype html>\n{el('html', el('head', *about), body, lang='en')}\n"


def heading(title: Html, about: Sequence[str], tiles: Sequence[Html], below: Sequence[Html]) -> Html:
    """The head of a page: what it is about, and its headline figures."""
    lines = [el("p", line, class_="about") for line in about if line]
    return el("div", el("h1", title), *lines, el("div", *tiles, class_="tiles"), *below, class_="head")


def tile(name: str, value: str, detail: Sequence[str] = (), exact: str = "") -> Html:
    """One headline figure; `exact`: the figure without rounding, and its unit."""
    lines = [el("span", line, class_="detail") for line in detail if line]
    return el("div", el("span", name, class_="name"), el("strong", value, title=exact or None, data_figure=name), *lines, class_="tile")


def note(*parts: str) -> Html:
    """A remark below a figure or a table."""
    return el("p", join(parts), class_="quiet")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
