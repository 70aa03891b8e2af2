"""The style of the page: light or dark as the reader's screen is, light on paper."""

CSS = """
:root {
  color-scheme: light dark;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  --paper: #fbfbfa; --card: #ffffff; --line: #e3e5e8; --ink: #22262c; --muted: #5c636e;
  --grid: #d8dbe0; --accent: #0072b2; --warn: #8a4b00; --warn-paper: #fdf3e3;
  --blue: #0072b2; --orange: #d55e00; --green: #009e73; --purple: #b0578d; --sky: #3a9ad9;
  --gold: #b98900;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --card: #1b1f25; --line: #2f353d; --ink: #e8eaed; --muted: #a3abb6;
  --grid: #353b44; --accent: #6cbcf0; --warn: #ffce85; --warn-paper: #33281a;
  --blue: #57b4f0; --orange: #ff9a4d; --green: #35cfa4; --purple: #e79cc9; --sky: #9bd3f7;
  --gold: #e8c14a;
} }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 var(--font); -webkit-text-size-adjust: 100%;
}
main, header, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.15; margin: 0 0 .4rem;
  letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .35rem; letter-spacing: -.01em; }
p { margin: .35rem 0 .9rem; max-width: 46rem; }
.lead { color: var(--muted); font-size: 1.05rem; }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: .9rem 0 0; font-size: .92rem; }
a { color: var(--accent); text-underline-offset: .18em; }
.tiles { display: grid; gap: .8rem; margin: 1.5rem 0 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(8.6rem, 1fr)); }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: .8rem 1rem; }
.tiles dt { color: var(--muted); font-size: .82rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 650; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.tiles dd small { display: block; font-size: .82rem; font-weight: 400; color: var(--muted); }
.grid { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: .7rem .7rem .5rem; }
figure svg { display: block; width: 100%; height: auto; font-family: var(--font); }
figure.wide { max-width: 46rem; }
figcaption { color: var(--muted); font-size: .85rem; padding: .2rem .3rem 0; }
.table { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  margin: 0 0 1rem; }
.table p { color: var(--muted); font-size: .88rem; padding: .6rem .9rem 0; margin: 0;
  max-width: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .42rem .9rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--muted); font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
tfoot > tr > * { border-top: 2px solid var(--line); font-weight: 600; }
.facts th, .facts td { text-align: left; white-space: normal; vertical-align: top;
  overflow-wrap: anywhere; }
.facts th { color: var(--muted); width: 12rem; min-width: 7rem; overflow-wrap: normal; }
.notes { background: var(--warn-paper); color: var(--warn); border-radius: .7rem;
  padding: .7rem 1rem .7rem 2rem; margin: .9rem 0; }
footer { color: var(--muted); font-size: .85rem; padding-top: 2.5rem; padding-bottom: 2.5rem; }
code { font-size: .9em; }
@media print {
  :root {
    --paper: #fff; --card: #fff; --line: #c9ccd1; --ink: #000; --muted: #444; --grid: #d8dbe0;
    --accent: #000; --warn: #000; --warn-paper: #fff;
    --blue: #0072b2; --orange: #d55e00; --green: #009e73; --purple: #b0578d; --sky: #3a9ad9;
    --gold: #b98900;
  }
  body { font-size: 10.5pt; }
  nav { display: none; }
  .grid { grid-template-columns: 1fr 1fr; }
  figure, .tiles div, tr, .table p { break-inside: avoid; }
  h2, section > p { break-after: avoid; }
  .scroll { overflow: visible; }
  th, td { white-space: normal; padding: .25rem .4rem; }
}
"""
