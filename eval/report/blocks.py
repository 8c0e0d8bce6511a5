"""The pieces of the page. Every text is escaped: labels, paths and answers are other people's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eval.checks.flag import Flag
from eval.report.document import Gallery, Headline, Picture, Plot, Section, Table
from eval.report.markdown import shown
from eval.report.plots import draw
from eval.report.tables import tables_of

__all__ = ["section_body", "table"]

TALL = 24  # rows; longer tables scroll within the page
FEW = 3  # flags that are not raised; more of them are folded
SMALL = 64  # pixels; such pictures alone are shown many to a row
CROWDED = 16  # boxes; with more, their texts are in the tooltips only
WIDE = 20  # rows of a matrix; larger ones take the whole width
STATES = {True: ("raised", "raised"), False: ("clear", "not raised"), None: ("unknown", "not measured")}
KINDS = {"expected": "true", "predicted": "found", "missed": "missed", "false": "false"}


def section_body(section: Section) -> str:
    """Everything below a section's title."""
    parts = []
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    if section.headlines:
        parts.append(f'<div class="cards">{"".join(map(_card, section.headlines))}</div>')
    if section.advice:
        lines = "".join(f"<li>{escape(line)}</li>" for line in section.advice)
        parts.append(f'<ul class="advice" aria-label="Advice">{lines}</ul>')
    if section.flags:
        parts.append(_flags(section.flags))
    if section.plots:
        parts.append(f'<div class="plots">{"".join(map(_figure, section.plots))}</div>')
    parts += map(_gallery, section.galleries)
    parts += map(table, tables_of(section))
    return "".join(parts)


def _card(headline: Headline) -> str:
    low, high = headline.low, headline.high
    interval = "" if low is None else f"[{shown(low)}, {shown(high)}] "
    note = f"<span>{escape(headline.note)}</span>" if headline.note else ""
    return (
        f'<div class="card"><span class="what">{escape(headline.title)}</span><b>{shown(headline.value)}</b>'
        f"{_gauge(headline)}<span>{interval}n&nbsp;=&nbsp;{headline.support:,}</span>{note}</div>"
    )


def _gauge(headline: Headline) -> str:
    """Value and interval on a scale from 0 to 1; nothing for what is no share."""
    value, low, high = headline.value, headline.low, headline.high
    if value is None or low is None or high is None or not 0 <= low <= high <= 1 or not 0 <= value <= 1:
        return ""
    return (
        '<svg class="gauge" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="2"/>'
        f'<rect class="c0 band" x="{100 * low:.2f}" width="{max(0.6, 100 * (high - low)):.2f}" height="6"/>'
        f'<rect class="c0" x="{min(99.2, max(0.0, 100 * value - 0.4)):.2f}" width="0.8" height="6"/></svg>'
    )


def _flags(flags: Sequence[Flag]) -> str:
    """Raised ones; many that were not, or not measured, are a line to open, so that no other is missed."""
    told = ["<h3>Trust flags</h3>"]
    for state, words in ((True, ""), (None, "not measured"), (False, "not raised")):
        of_state = [flag for flag in flags if flag.raised is state]
        shown_flags = f'<ul class="flags">{"".join(map(_flag, of_state))}</ul>'
        if words and len(of_state) > FEW:
            summary = f"<summary>{len(of_state)} flags {words}</summary>"
            shown_flags = f"<details>{summary}{shown_flags}</details>"
        told.append(shown_flags if of_state else "")
    return "".join(told)


def _flag(flag: Flag) -> str:
    kind, words = STATES[flag.raised]
    more = f"<div>{escape(flag.means)} {escape(flag.do)}</div>" if flag.raised else ""
    return (
        f'<li class="{kind}"><span class="state">{words}</span>'
        f"<strong>{escape(flag.name.replace('_', ' '))}</strong>"
        f"<div>{escape(flag.evidence)}</div>{more}</li>"
    )


def _figure(plot: Plot) -> str:
    wide = plot.kind == "matrix" and len(plot.labels) > WIDE
    drawn = _scroll(draw(plot), plot.title) if wide else draw(plot)
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}><figcaption>{escape(plot.title)}</figcaption>{drawn}</figure>"


def _scroll(inside: str, title: str, *, tall: bool = False) -> str:
    """A box of its own to scroll in; reachable by keyboard and named for those who do not see it."""
    return (
        f'<div class="scroll{" tall" * tall}" tabindex="0" role="region" '
        f'aria-label="{escape(title or "table")}">{inside}</div>'
    )


def table(told: Table) -> str:
    """Its title, its rows and its note."""
    title = f"<h3>{escape(told.title)}</h3>" if told.title else ""
    note = f'<p class="note">{escape(told.note)}</p>' if told.note else ""
    if not told.rows:
        return f'{title}<p class="note">Nothing measured.</p>{note}'
    columns = list(told.rows[0])
    numeric = {c for c in columns if all(not isinstance(row[c], str) for row in told.rows)}
    head = "".join(f'<th scope="col"{_numbered(c in numeric)}>{escape(c)}</th>' for c in columns)
    body = []
    for row in told.rows:
        first = "td" if columns[0] in numeric else 'th scope="row"'
        body.append("<tr>")
        for place, column in enumerate(columns):
            opened = "td" if place else first
            cell, kind = escape(shown(row[column])), _numbered(column in numeric)
            body.append(f"<{opened}{kind}>{cell}</{opened.split()[0]}>")
        body.append("</tr>")
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return title + _scroll(whole, told.title, tall=len(told.rows) > TALL) + note


def _numbered(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _gallery(gallery: Gallery) -> str:
    if not gallery.items:
        return ""
    note = f'<p class="note">{escape(gallery.note)}</p>' if gallery.note else ""
    kinds = {box[5] for item in gallery.items for picture in item for box in picture.boxes}
    if kinds:
        keys = "".join(f'<span class="key boxed {k}">{KINDS[k]}</span>' for k in KINDS if k in kinds)
        note += f'<p class="note">{keys}</p>'
    if gallery.key:
        note += f'<p class="note">{"".join(map(_key, gallery.key.items()))}</p>'
    examples = "".join(f'<div class="example">{_pictures(item)}</div>' for item in gallery.items)
    small = " small" if all(len(item) == 1 and item[0].width < SMALL for item in gallery.items) else ""
    boxed = any(len(item) > 1 and picture.boxes for item in gallery.items for picture in item)
    wide = " wide" if boxed or any(len(item) > 3 for item in gallery.items) else ""
    return f'<h3>{escape(gallery.title)}</h3>{note}<div class="gallery{small}{wide}">{examples}</div>'


def _key(entry: tuple[str, str]) -> str:
    name, colour = map(escape, entry)
    return f'<span class="key"><svg><rect width="18" height="10" fill="{colour}"/></svg>{name}</span>'


def _pictures(item: Sequence[Picture]) -> str:
    return "".join(
        f'<div><div class="frame"><img alt="{escape(p.caption)}" src="{escape(p.uri)}" '
        f'width="{p.width}" height="{p.height}">{_boxes(p)}</div>{escape(p.caption)}</div>'
        for p in item
    )


def _boxes(picture: Picture) -> str:
    if not picture.boxes:
        return ""
    size, drawn = max(picture.width, picture.height) / 26, []
    few = len(picture.boxes) <= CROWDED
    for x1, y1, x2, y2, text, kind in picture.boxes:
        above = y1 - size / 4 if y1 > size * 1.2 else y1 + size
        told = f'<text x="{x1 + size / 5:.1f}" y="{above:.1f}">{escape(text)}</text>'
        drawn.append(
            f'<g class="{escape(kind)}"><title>{escape(text)}</title><rect x="{x1:.1f}" y="{y1:.1f}" '
            f'width="{max(0.0, x2 - x1):.1f}" height="{max(0.0, y2 - y1):.1f}"/>{told if few else ""}</g>'
        )
    box = f'viewBox="0 0 {picture.width} {picture.height}" font-size="{size:.1f}"'
    return f'<svg {box} aria-hidden="true">{"".join(drawn)}</svg>'
