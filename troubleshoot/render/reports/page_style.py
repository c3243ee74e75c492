"""The look of the HTML page: one sheet, light and dark, on a screen and on A4. Contrast is WCAG 2.2 AA throughout."""

from __future__ import annotations

SHEET = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #4c5560; --paper: #ffffff; --line: #c3cad2; --band: #f2f4f7;
  --bad: #a4161a; --good: #0b6b3a; --warn: #7a4b00; --mark: #0b4f9e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --soft: #b3bcc6; --paper: #14171b; --line: #454d57;
  --band: #1f242a; --bad: #ff9a96; --good: #7ddba5; --warn: #f2c266; --mark: #8cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
.fault h1 { color: var(--bad); } .healthy h1 { color: var(--good); } .inconclusive h1 { color: var(--warn); }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .2rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
details { border: 1px solid var(--line); border-radius: .3rem; margin: .3rem 0; padding: .3rem .6rem; }
summary { cursor: pointer; }
summary:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
pre { white-space: pre-wrap; background: var(--band); padding: .5rem; font-size: .85rem; margin: .5rem 0 0; }
.passed { color: var(--good); } .failed { color: var(--bad); } .warning { color: var(--warn); }
.skipped, .unavailable, .soft { color: var(--soft); }
svg { display: block; width: 100%; height: auto; margin: .5rem 0; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg text.soft { fill: var(--soft); } svg text.bad { fill: var(--bad); font-weight: bold; }
.wire { stroke: var(--soft); stroke-width: 2; } .cut { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 4; }
.node { fill: var(--paper); stroke: var(--mark); stroke-width: 2; }
.lost { stroke: var(--soft); stroke-dasharray: 3 3; }
.well { fill: var(--good); } svg text.sign { fill: var(--paper); font-weight: bold; }
.cross { stroke: var(--bad); stroke-width: 3; } .bar { fill: var(--mark); } .spoilt { fill: var(--bad); }
.track { fill: var(--band); } .axis { stroke: var(--line); stroke-width: 1; }
@page { size: A4; margin: 15mm; }
@media print { :root { --ink: #000; --soft: #333; --paper: #fff; --line: #999; --band: #f4f4f4; --bad: #a4161a;
  --good: #0b6b3a; --warn: #7a4b00; --mark: #0b4f9e; } body { padding: 0; max-width: none; font-size: 10pt; }
  details::details-content { content-visibility: visible; block-size: auto; } h2, h3, summary { break-after: avoid; }
  svg, tr, dl > div { break-inside: avoid; } }
"""
