"""Writes the Python blocks of Markdown files as one module each, for pyright.

python tests/code_blocks.py build/typecheck README.md docs/deploy.md
"""

import re
import sys
from pathlib import Path


def python_blocks(text: str) -> list[str]:
    """Return the content of every ```python block of a Markdown text."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def main(output, *sources):
    """Write OUTPUT/NAME.py for every NAME.md."""
    Path(output).mkdir(parents=True, exist_ok=True)
    for source in map(Path, sources):
        blocks = "\n\n".join(python_blocks(source.read_text("utf-8")))
        (Path(output) / f"{source.stem.lower()}.py").write_text(blocks, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
