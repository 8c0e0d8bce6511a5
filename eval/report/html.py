"""A report as one HTML page that needs nothing else: no network, no file, and no script to be complete."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from html import escape

from eval.report.blocks import section_body, table
from eval.report.document import Cell, Report, Section, Table
from eval.report.markdown import shown
from eval.report.script import SCRIPT
from eval.report.style import STYLE

__all__ = ["CLOCK", "to_html"]

CLOCK = re.compile(r'<section id="clock">.*?</section>', re.DOTALL)  # cut it out: equal answers, equal bytes


def to_html(report: Report) -> str:
    """The whole page. What a clock said is in one section, `CLOCK`, and nowhere else.

    Every text is escaped, and the page itself forbids the browser any script and style but its own,
    and any request.
    """
    anchors = [_anchor(i, section) for i, section in enumerate(report.sections)]
    clock = _clock(report)
    titles = ["Results" if s.title == report.title else s.title for s in report.sections]
    named = list(zip(anchors, titles, report.sections, strict=True))
    links = [f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in named]
    links += ['<a href="#clock">Time</a>'] * bool(clock) + ['<a href="#repeat">How to repeat this</a>']
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>",
        f"<header><h1>{escape(report.title)}</h1>",
        f'<p class="soft">{escape(_summary(report.manifest))}</p></header>',
        *_banners(report),
        f'<nav aria-label="Sections">{"".join(links)}</nav>',
        *(
            f'<h2 id="{anchor}">{escape(title)}</h2>{section_body(section)}'
            for anchor, title, section in named
        ),
        clock,
        f'<footer><h2 id="repeat">How to repeat this</h2>{_manifest(report.manifest)}'
        "<p>Intervals are at 95 %: Wilson for proportions, bootstrap over images for the rest. "
        "Fractions, never percent; n/a is undefined, not zero.</p></footer>"
        f"</main><script>{SCRIPT}</script></body></html>",
    ]
    return "".join(parts) + "\n"


def _policy() -> str:
    own = {
        kind: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for kind, text in (("script", SCRIPT), ("style", STYLE))
    }
    kinds = "; ".join(f"{kind}-src {digest}" for kind, digest in own.items())
    return f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; {kinds}"


def _anchor(number: int, section: Section) -> str:
    return f"s{number}-{re.sub(r'[^a-z0-9]+', '-', section.title.lower()).strip('-')}"


def _summary(manifest: Mapping[str, Cell]) -> str:
    kept = {"url": "{}", "model": "{}", "data": "{}", "images": "{:,} images", "assay": "Assay {}"}
    told = []
    for key, words in kept.items():
        value = manifest.get(key)
        if value is not None:
            told.append(words.format(value) if isinstance(value, int) else words.split(":")[0].format(value))
    return " · ".join(told)


def _banners(report: Report) -> list[str]:
    raised = sum(flag.raised is True for section in report.sections for flag in section.flags)
    told = [] if report.valid else ["This run is not valid: too many requests failed."]
    if raised:
        told.append(f"{raised} trust flag{'' if raised == 1 else 's'} raised: read them first.")
    return [f'<div class="banner" role="alert">{line}</div>' for line in told]


def _clock(report: Report) -> str:
    """All that differs between two runs with equal answers."""
    if not report.clock and not report.timing:
        return ""
    parts = ['<section id="clock"><h2>Time</h2>']
    parts.append(_manifest(report.clock))
    parts += [f"<h3>{escape(section.title)}</h3>{section_body(section)}" for section in report.timing]
    return "".join([*parts, "</section>"])


def _manifest(told: Mapping[str, Cell]) -> str:
    """Key and value; a command as one block to copy."""
    command = told.get("command")
    block = f"<pre><code>{escape(str(command))}</code></pre>" if command is not None else ""
    rows: list[Mapping[str, Cell]] = [
        {"": key, "value": shown(value)} for key, value in told.items() if key != "command"
    ]
    return block + (table(Table(rows)) if rows else "")
