"""Extract the Python blocks of Markdown files, and the commands of Markdown files and scripts.

As a script, it writes the blocks as one module per file, for pyright:

python tests/code_blocks.py build/typecheck README.md docs/deploy.md
"""

import re
import shlex
import sys
from pathlib import Path


def python_blocks(text: str) -> list[str]:
    """Return the content of every ```python block of a Markdown text."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def executable_blocks(text: str) -> list[str]:
    """Return the blocks that tests execute: those without `<!-- not run: why -->` above."""
    return python_blocks(re.sub(r"^<!-- not run: .+ -->\n+```python\n", "```\n", text, flags=re.M))


def commands(text: str) -> list[list[str]]:
    """Return the arguments of each `eseg` command in an indented block or a script's comment."""
    joined = re.sub(r"\\\n[# ]*", "", text)
    lines = re.findall(r"^(?: {4}|# !|# )eseg ([^\n]+)$", joined, re.M)
    return [shlex.split(line, comments=True) for line in lines]


def main(output, *sources):
    """Write OUTPUT/name.py, in lower case, for every NAME.md."""
    Path(output).mkdir(parents=True, exist_ok=True)
    for source in map(Path, sources):
        blocks = "\n\n".join(python_blocks(source.read_text("utf-8")))
        (Path(output) / f"{source.stem.lower()}.py").write_text(blocks, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
