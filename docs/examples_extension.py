"""Griffe extension: show our docstring section "Example" as Griffe's section "Examples"."""

import re
import textwrap

import griffe

# Names of several arguments that share a description and take two lines: they are put on one.
_NAMES = re.compile(r"^( +(?:\w+, )*\w+,)\n +(?=(?:\w+, )*\w+: )", re.MULTILINE)
_EXAMPLE = re.compile(r"^Example:\n+(.*?)(?=^Reference:$|\Z)", re.MULTILINE | re.DOTALL)


class ExamplesExtension(griffe.Extension):
    """Rename "Example" to "Examples" and indent the section: Griffe then shows its code as code."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            text = _NAMES.sub(r"\1 ", obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(_as_examples, text)


def _as_examples(match):
    return f"Examples:\n{textwrap.indent(match[1].strip(), '    ')}\n\n"
