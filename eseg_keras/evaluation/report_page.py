"""The frame of a report: one HTML file that asks for nothing from outside."""

import base64
from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f4f5f7; --ink: #1c1e21;
  --quiet: #55595f; --line: #d5d8dc; --bar: #0072b2; --track: #e3e6ea; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #16181b; --card: #212429;
  --ink: #e9eaec; --quiet: #a9afb6; --line: #3a3f46; --bar: #56b4e9; --track: #33383f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 3rem;
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; }
h3 { font-size: 1rem; margin: 0 0 0.25rem; }
p { margin: 0.25rem 0 0.75rem; max-width: 46rem; }
.quiet, dt, figcaption, footer { color: var(--quiet); }
.details { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1.25rem; margin: 0; }
.details dd { margin: 0; }
.scores { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: 0.75rem; margin: 0; }
.scores div { background: var(--card); border-radius: 0.5rem; padding: 0.6rem 0.9rem; }
.scores dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.3rem 0.9rem 0.3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal; }
thead th { vertical-align: bottom; }
tbody th { font-weight: 400; }
.number { text-align: right; }
td.number { white-space: nowrap; }
td.number span:last-child { display: inline-block; min-width: 4rem; }
.name { display: inline-flex; align-items: baseline; gap: 0.45em; }
.columns { display: grid; grid-template-columns: minmax(0, 7fr) minmax(0, 5fr); gap: 0 3rem; }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 0;
  cursor: pointer; text-decoration: underline dotted; text-underline-offset: 0.2em; }
[aria-sort=ascending] button::after { content: " \\2191"; }
[aria-sort=descending] button::after { content: " \\2193"; }
.bar { display: inline-block; vertical-align: middle; width: clamp(3rem, 12vw, 11rem);
  height: 0.7rem; margin-right: 0.6rem; background: var(--track); border-radius: 2px; }
.bar i { display: block; height: 100%; background: var(--bar); border-radius: 2px; }
.swatch { flex: none; align-self: center; width: 0.9em; height: 0.9em;
  border: 1px solid var(--quiet); border-radius: 2px; }
.bar i, .swatch, .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; }
.matrix img { max-width: none; background: #ffffff; border-radius: 0.5rem; }
.matrix .fits { max-width: 100%; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; padding: 0;
  margin: 0 0 1rem; }
article { border-top: 1px solid var(--line); padding: 1rem 0; break-inside: avoid; }
.views { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0.6rem; margin-top: 0.5rem; }
.views img { width: 100%; border-radius: 0.25rem; }
figcaption, footer, .quiet { font-size: 0.9rem; }
footer { margin-top: 2.5rem; }
@media screen and (max-width: 64rem) { .columns { grid-template-columns: minmax(0, 1fr); } }
@media screen and (max-width: 40rem) { .views, .details { grid-template-columns: 1fr; }
  .details dd { margin-bottom: 0.4rem; } .matrix .fits { max-width: none; } .bar { display: none; }
  table { font-size: 0.85rem; } th, td { padding-right: 0.5rem; }
  td.number span:last-child { min-width: 0; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; }
  .columns { display: block; } .scroll { overflow: visible; }
  .matrix img { max-width: 100%; } h2 { break-after: avoid; } thead button { all: unset; } }
"""

# Makes the headers of tables sort them. Without it they are as they are.
_SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => key(a).localeCompare(key(b), undefined, {numeric: true});
      const number = row => parseFloat(row.cells[column].dataset.value);
      const compare = (a, b) => {
        const x = number(a), y = number(b);
        return Number.isNaN(x) || Number.isNaN(y) ? order(a, b) : x - y;
      };
      const rows = [...body.rows].sort((a, b) => falling ? compare(b, a) : compare(a, b));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
"""


def page(title: str, sections: Sequence[str]) -> str:
    """Return a whole HTML page.

    Args:
        title: Title of the page, as text.
        sections: The content, as HTML.

    Returns:
        The page. Style and script are inside, and a policy in its head forbids any request.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src "
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}\'unsafe-inline\'">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{escape(title)}</h1>",
            *sections,
            "</main>",
            f"<script>{_SCRIPT}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def image(content: bytes, kind: str, alt: str, size: tuple[int, int], attributes: str = "") -> str:
    """Return a picture as HTML, with its bytes inside.

    Args:
        content: Bytes of the image file.
        kind: `"png"` or `"jpeg"`.
        alt: What it shows, as text.
        size: Width and height at which it is shown unless the page is narrower.
        attributes: More attributes, as HTML.

    Example:

    >>> from eseg_keras.evaluation.report_page import image
    >>> image(b"...", "png", "roads & cars", (8, 4))
    '<img src="data:image/png;base64,Li4u" alt="roads &amp; cars" width="8" height="4">'
    """
    data = base64.b64encode(content).decode()
    more = f" {attributes}" if attributes else ""
    return (
        f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}" '
        f'width="{size[0]}" height="{size[1]}"{more}>'
    )


def table(label: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns can be sorted, in a box that scrolls if the page is narrow.

    Args:
        label: Name of the table for a screen reader, as text.
        headers: Names of the columns, as text; those of numbers stand right, as the numbers do.
        rows: Cells of each row, as HTML; there is at least one row.
    """
    kinds = ["data-value" in content for content in rows[0]]
    heads = "".join(
        f'<th scope="col"{" class=number" if is_number else ""}>{escape(header)}</th>'
        for header, is_number in zip(headers, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">\n'
        f'<table class="sortable">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def cell(content: str, value: float | None = None) -> str:
    """Return a cell of a table: a number on the right if there is a value to sort by."""
    if value is None:
        return f"<td>{content}</td>"
    return f'<td class="number" data-value="{value:.6g}">{content}</td>'
