"""The style sheet of `tsukiji report`: light, dark and printed."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1a1c1f; --faint: #5c626b; --paper: #fff; --line: #d9dce1; --soft: #f3f4f6;
  --right: #8fbce8; --wrong: #f0a08c; --a: #1f6feb; --b: #b3541e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --faint: #a3a9b3; --paper: #16181c; --line: #363a41;
  --soft: #22252a; --right: #2f669f; --wrong: #9c4330; --a: #6ea8ff; --b: #f0986a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { margin: 0; font-size: 2rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
.lead { font-size: 1.2rem; margin: .5rem 0; }
code { background: var(--soft); padding: .1em .35em; border-radius: 4px; font-size: .9em; overflow-wrap: anywhere; }
li { margin: .4rem 0; }
small, .hint, dt { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.hint { margin: 0 0 .5rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.matrix td[style] { text-align: center; min-width: 3rem; border: 1px solid var(--paper); }
.matrix thead th { vertical-align: bottom; text-align: center; }
.matrix td[style] { --ground: var(--wrong);
  background: color-mix(in srgb, var(--ground) calc(var(--share) * 100%), transparent); }
.matrix td.right { --ground: var(--right); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1.5rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; }
figure { margin: 0; break-inside: avoid; }
.gallery img { width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--soft); border-radius: 6px; }
.gallery figcaption { font-size: .85rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--line); }
polyline, .line-0, .line-1 { fill: none; stroke-width: 2; }
.line-0 { stroke: var(--a); }
.dot-0 { fill: var(--a); }
.dot-1 { fill: var(--b); }
.line-1 { stroke: var(--b); stroke-dasharray: 6 4; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  :root { color-scheme: light; --ink: #000; --faint: #444; --paper: #fff; --line: #bbb; --soft: #f3f4f6;
    --right: #8fbce8; --wrong: #f0a08c; --a: #1f6feb; --b: #b3541e; print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .wide { overflow: visible; }
  tr, li { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
