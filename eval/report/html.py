"""A report as one HTML page that needs nothing else: no network, no script, no file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from eval.checks import Flag
from eval.report.document import Cell, Gallery, Headline, Picture, Report, Section, Table
from eval.report.markdown import shown
from eval.report.plots import draw
from eval.report.style import STYLE

__all__ = ["to_html"]

MANY_ROWS = 24  # longer tables are folded away
SMALL = 64  # pixels; such pictures alone are shown many to a row
STATES = {True: ("raised", "raised"), False: ("clear", "not raised"), None: ("unknown", "not measured")}


def to_html(report: Report) -> str:
    """The whole page. Every text is escaped; labels and paths are other people's."""
    anchors = [
        f"s{i}-{re.sub(r'[^a-z0-9]+', '-', s.title.lower()).strip('-')}"
        for i, s in enumerate(report.sections)
    ]
    links = [
        f'<a href="#{anchor}">{escape(s.title)}</a>'
        for anchor, s in zip(anchors, report.sections, strict=True)
    ]
    raised = sum(flag.raised is True for section in report.sections for flag in section.flags)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(report.title)}</h1>",
        f'<p class="soft">{escape(_summary({**report.manifest, **report.clock}))}</p>',
        "" if report.valid else '<div class="banner">This run is not valid: too many requests failed.</div>',
        f'<div class="banner">{_count(raised, "trust flag")} raised: read them first.</div>'
        if raised
        else "",
        f"<nav>{''.join(links)}</nav>" if len(links) > 1 else "",
        *(_section(section, anchor) for section, anchor in zip(report.sections, anchors, strict=True)),
        f"<footer><h3>How to repeat this</h3>{_manifest(report.manifest)}"
        "<p>Intervals are at 95 %: Wilson for proportions, bootstrap over images for the rest. "
        "Fractions, never percent; n/a is undefined, not zero.</p></footer></main></body></html>",
    ]
    return "".join(parts) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _summary(manifest: Mapping[str, Cell]) -> str:
    kept = {"url": "{}", "started": "{}", "seconds": "in {:.1f} s", "assay": "Assay {}"}
    told = (words.format(manifest[key]) for key, words in kept.items() if manifest.get(key) is not None)
    return " · ".join(told)


def _section(section: Section, anchor: str) -> str:
    parts = [f'<h2 id="{anchor}">{escape(section.title)}</h2>']
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    if section.headlines:
        parts.append(f'<div class="cards">{"".join(map(_card, section.headlines))}</div>')
    if section.flags:
        ordered = sorted(section.flags, key=lambda flag: (flag.raised is False, flag.raised is None))
        parts.append(f'<h3>Trust flags</h3><ul class="flags">{"".join(map(_flag, ordered))}</ul>')
    if section.plots:
        figures = (
            f"<figure><figcaption>{escape(p.title)}</figcaption>{draw(p)}</figure>" for p in section.plots
        )
        parts.append(f'<div class="plots">{"".join(figures)}</div>')
    parts += [_gallery(gallery) for gallery in section.galleries]
    parts += [_table(table) for table in section.tables]
    return "".join(parts)


def _card(headline: Headline) -> str:
    interval = "" if headline.low is None else f"[{shown(headline.low)}, {shown(headline.high)}] "
    note = f"<span>{escape(headline.note)}</span>" if headline.note else ""
    return (
        f'<div class="card"><span class="what">{escape(headline.title)}</span><b>{shown(headline.value)}</b>'
        f"<span>{interval}n = {headline.support:,}</span>{note}</div>"
    )


def _flag(flag: Flag) -> str:
    kind, words = STATES[flag.raised]
    more = f"<div>{escape(flag.means)} {escape(flag.do)}</div>" if flag.raised else ""
    return (
        f'<li class="{kind}"><span class="state">{words}</span>'
        f"<strong>{escape(flag.name.replace('_', ' '))}</strong>"
        f"<div>{escape(flag.evidence)}</div>{more}</li>"
    )


def _table(table: Table) -> str:
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    if not table.rows:
        return f'{title}<p class="note">Nothing measured.</p>{note}'
    columns = list(table.rows[0])
    numeric = {c for c in columns if all(not isinstance(row[c], str) for row in table.rows)}
    head = "".join(f"<th{_numbered(c in numeric)}>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_numbered(c in numeric)}>{escape(shown(row[c]))}</td>" for c in columns)
        + "</tr>"
        for row in table.rows
    )
    whole = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    if len(table.rows) > MANY_ROWS:
        summary = f"{escape(table.title or 'all rows')}: {len(table.rows)} rows"
        return f"<details><summary>{summary}</summary>{whole}{note}</details>"
    return title + whole + note


def _numbered(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _manifest(manifest: Mapping[str, Cell]) -> str:
    rows = "".join(
        f'<tr><th>{escape(key)}</th><td class="code">{escape(shown(value))}</td></tr>'
        for key, value in manifest.items()
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def _gallery(gallery: Gallery) -> str:
    note = f'<p class="note">{escape(gallery.note)}</p>' if gallery.note else ""
    if not gallery.items:
        return ""
    examples = "".join(f'<div class="example">{_pictures(item)}</div>' for item in gallery.items)
    small = " small" if all(len(item) == 1 and item[0].width < SMALL for item in gallery.items) else ""
    return f'<h3>{escape(gallery.title)}</h3>{note}<div class="gallery{small}">{examples}</div>'


def _pictures(item: Sequence[Picture]) -> str:
    return "".join(
        f'<div><div class="frame"><img alt="{escape(p.caption)}" src="{escape(p.uri)}">{_boxes(p)}</div>'
        f"{escape(p.caption)}</div>"
        for p in item
    )


def _boxes(picture: Picture) -> str:
    if not picture.boxes:
        return ""
    drawn = "".join(
        f'<rect class="{escape(kind)}" x="{x1:.1f}" y="{y1:.1f}" '
        f'width="{x2 - x1:.1f}" height="{y2 - y1:.1f}">'
        f"<title>{escape(text)}</title></rect>"
        for x1, y1, x2, y2, text, kind in picture.boxes
    )
    return f'<svg viewBox="0 0 {picture.width} {picture.height}" preserveAspectRatio="none">{drawn}</svg>'
