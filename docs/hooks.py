"""MkDocs hook: replace links to files outside of docs/ by plain text."""

import re

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!docs/)([\w./-]+)\)")


def on_page_markdown(markdown: str, page, **_) -> str:
    """Replace links such as `[text](../benchmarks/x.csv)` in pages directly in docs/."""
    if "/" in page.file.src_uri:
        return markdown
    return _OUTSIDE.sub(r"\1 (`\2`)", markdown)
