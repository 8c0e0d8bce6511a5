"""The look of the page: one style sheet, system fonts, light and dark, screen and print."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #16202c; --soft: #5b6b7c; --paper: #ffffff; --wash: #f4f6f9; --edge: #dde3ea;
  --good: #1a7f4e; --bad: #b3261e; --unsure: #8a6100;
  --c0: #2f6fb0; --c1: #d1722a; --c2: #2f9d78; --c3: #b65591; --c4: #8b7a1f; --c5: #5a5fc7; }
@media (prefers-color-scheme: dark) { :root { color-scheme: light dark; --ink: #e6ecf3; --soft: #9aabbd; --paper: #10161d;
  --wash: #18212b; --edge: #2b3947; --good: #57c793; --bad: #ff8a80; --unsure: #e3b341;
  --c0: #6ba8e5; --c1: #eb9a5b; --c2: #5cc8a2; --c3: #d98abb; --c4: #c7b552; --c5: #979bf0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 56px 0 8px; padding-top: 20px; border-top: 1px solid var(--edge);
  overflow-wrap: anywhere; }
h1, p { overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 28px 0 8px; }
p { max-width: 74ch; margin: 6px 0 14px; }
.soft, .note { color: var(--soft); }
.note { font-size: 13.5px; }
nav { display: flex; flex-wrap: wrap; gap: 6px 8px; margin: 20px 0 0; }
nav + h2 { margin-top: 24px; }
nav a { padding: 3px 11px; border: 1px solid var(--edge); border-radius: 99px; color: var(--ink);
  text-decoration: none; font-size: 13.5px; }
nav a:hover { background: var(--wash); }
a:focus-visible, th:focus-visible, .scroll:focus-visible { outline: 2px solid var(--c0); outline-offset: 1px; }
.banner { padding: 12px 16px; border-radius: 8px; background: var(--bad); color: var(--paper); margin: 20px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(212px, 1fr)); gap: 12px; margin: 18px 0; }
.card { background: var(--wash); border: 1px solid var(--edge); border-radius: 10px; padding: 13px 15px 12px; }
.card b { display: block; font-size: 27px; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }
.card span { display: block; font-size: 13px; color: var(--soft); font-variant-numeric: tabular-nums; }
.card .what { color: var(--ink); font-weight: 550; }
.gauge { display: block; width: 100%; height: 6px; margin: 3px 0 6px; }
.gauge .track { fill: var(--edge); } .gauge .band { fill-opacity: 0.4; }
.advice { margin: 14px 0; padding: 10px 14px 10px 32px; border-radius: 8px; background: var(--wash);
  border-left: 4px solid var(--c0); max-width: 84ch; }
.flags { display: grid; gap: 8px; margin: 8px 0; padding: 0; list-style: none; }
.flags li { border: 1px solid var(--edge); border-left: 4px solid var(--good); border-radius: 6px; padding: 8px 12px; }
.flags li.raised { border-left-color: var(--bad); background: var(--wash); }
.flags li.unknown { border-left-color: var(--unsure); }
.flags strong { font-weight: 600; } .flags .state { float: right; font-size: 13px; color: var(--soft); }
.flags .raised .state { color: var(--bad); font-weight: 600; }
.flags div { font-size: 13.5px; color: var(--soft); }
summary { cursor: pointer; margin: 8px 0; font-size: 13.5px; color: var(--soft); } summary:focus-visible { outline: 2px solid var(--c0); }
.scroll { overflow-x: auto; margin: 8px 0 4px; }
.tall { max-height: 620px; overflow-y: auto; border: 1px solid var(--edge); border-radius: 8px; padding-left: 12px; }
.tall thead th { position: sticky; top: 0; background: var(--paper); box-shadow: 0 1px 0 var(--edge); }
table { border-collapse: collapse; font-size: 13.5px; min-width: 40%; width: max-content; }
th, td { padding: 5px 18px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--edge);
  font-weight: 400; max-width: 60ch; overflow-wrap: break-word; }
thead th { font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody tr:hover { background: var(--wash); }
.sorts { cursor: pointer; } .sorts:hover { color: var(--ink); }
[aria-sort="ascending"]::after { content: " ↑"; } [aria-sort="descending"]::after { content: " ↓"; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { text-align: right; }
pre { background: var(--wash); border: 1px solid var(--edge); border-radius: 8px; padding: 10px 14px;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.plots { display: flex; flex-wrap: wrap; gap: 28px; margin: 14px 0; }
figure { margin: 0; flex: 1 1 400px; max-width: 520px; min-width: 0; }
figcaption { font-size: 13.5px; font-weight: 600; margin: 0 0 4px; }
figure.wide { flex-basis: 100%; max-width: 100%; }
svg.plot { max-width: 100%; height: auto; display: block; }
.wide svg.plot { max-width: none; }
.c0 { fill: var(--c0); stroke: var(--c0); } .c1 { fill: var(--c1); stroke: var(--c1); }
.c2 { fill: var(--c2); stroke: var(--c2); } .c3 { fill: var(--c3); stroke: var(--c3); }
.c4 { fill: var(--c4); stroke: var(--c4); } .c5 { fill: var(--c5); stroke: var(--c5); }
svg rect { stroke: none; } svg .cell { stroke: var(--paper); stroke-width: 1; }
svg .board { fill: var(--wash); } svg .ink { fill: var(--ink); }
svg .line { fill: none; stroke-width: 2; } svg circle { stroke: none; }
svg .grid { stroke: var(--edge); fill: none; } svg .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg .diagonal { stroke: var(--soft); stroke-dasharray: 4 4; fill: none; }
svg text { fill: var(--soft); font-size: 11.5px; } svg .axis { fill: var(--ink); font-size: 12px; }
svg .dense { font-size: 9px; } svg .mid { text-anchor: middle; } svg .end { text-anchor: end; } svg .on { fill: var(--paper); }
.gallery { display: grid; align-items: start; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; margin: 10px 0; }
.gallery.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 520px), 1fr)); }
.gallery.small { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.example { display: flex; gap: 8px; background: var(--wash); border: 1px solid var(--edge); border-radius: 10px;
  padding: 10px; }
.example > div { flex: 1 1 0; min-width: 0; overflow-wrap: anywhere; font-size: 12.5px; color: var(--soft); line-height: 1.35; }
.frame { position: relative; margin-bottom: 5px; }
.frame img { width: 100%; height: auto; display: block; border-radius: 4px; image-rendering: pixelated; }
.frame svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.frame rect { fill: none; stroke: var(--mark); stroke-width: 2; vector-effect: non-scaling-stroke; }
.frame text { fill: var(--mark); stroke: #000c; stroke-width: 0.22em; paint-order: stroke; font-size: inherit;
  font-weight: 600; }
.expected { --mark: #ffffff; } .predicted { --mark: #4ade80; } .missed { --mark: #facc15; } .false { --mark: #fb7185; }
.frame .expected rect, .frame .missed rect { stroke-dasharray: 5 3; }
.frame .expected text, .frame .predicted text { display: none; }
.key svg { width: 18px; height: 10px; margin-right: 6px; }
.key { margin-right: 14px; white-space: nowrap; }
.boxed::before { content: ""; display: inline-block; width: 28px; height: 14px; margin-right: 6px; background: #333; vertical-align: -2px;
  border: 2px solid var(--mark); }
.boxed.expected::before, .boxed.missed::before { border-style: dashed; }
footer h2 { border-top: 0; margin-top: 0; padding-top: 0; }
footer { margin-top: 64px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--edge); padding-top: 16px; }
@media (max-width: 560px) { main { padding: 24px 16px 48px; } h1 { font-size: 24px; }
  .cards { grid-template-columns: 1fr 1fr; gap: 8px; } .card { padding: 10px 11px; } .card b { font-size: 22px; }
  .gallery { grid-template-columns: 1fr; } }
@media print { main { max-width: none; padding: 0; } nav { display: none; } h2, h3 { break-after: avoid; }
  .card, figure, .example, tr { break-inside: avoid; } .tall { max-height: none; border: 0; padding: 0; }
  .scroll { overflow: visible; } .wide svg.plot { max-width: 100%; } .banner { border: 2px solid var(--bad); color: var(--bad);
  background: none; } * { print-color-adjust: exact; } }
"""
