"""The HTML elements of a report, which is a single self-contained file."""

import base64
import importlib.resources
from collections.abc import Sequence
from html import escape


def page(title: str, sections: Sequence[str]) -> str:
    """Return an HTML page with sections; its Content-Security-Policy forbids all requests."""
    static = importlib.resources.files("eseg_keras.evaluation") / "static"
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src "
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}\'unsafe-inline\'">',
        f"<title>{escape(title)}</title>",
        f"<style>{(static / 'report.css').read_text('utf-8')}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{escape(title)}</h1>",
        *sections,
        "</main>",
        f"<script>{(static / 'report.js').read_text('utf-8')}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines)


def image(content: bytes, kind: str, alt: str, size: tuple[int, int], attributes: str = "") -> str:
    """Return an `<img>` with an embedded "png" or "jpeg" file; `size` is (width, height)."""
    data = base64.b64encode(content).decode()
    more = f" {attributes}" if attributes else ""
    return (
        f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}" '
        f'width="{size[0]}" height="{size[1]}"{more}>'
    )


def table(label: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a sortable table of rows of HTML cells; `label` is for screen readers."""
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
    """Return a table cell; with a sort key `value`, it is right-aligned."""
    if value is None:
        return f"<td>{content}</td>"
    return f'<td class="number" data-value="{value:.6g}">{content}</td>'
