"""Hooks of MkDocs: links to files outside of docs/ become plain text."""

import re

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!docs/)([\w./-]+)\)")


def on_page_markdown(markdown: str, page, **_) -> str:
    """Replace `[text](../benchmarks/x.csv)` in pages at the top of docs/."""
    if "/" in page.file.src_uri:
        return markdown
    return _OUTSIDE.sub(r"\1 (`\2`)", markdown)
