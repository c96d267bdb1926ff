"""Extension of griffe: our section "Example", whose code is not indented, as its "Examples"."""

import re
import textwrap

import griffe

_EXAMPLE = re.compile(r"^Example:\n+(.*?)(?=^Reference:$|\Z)", re.MULTILINE | re.DOTALL)


class ExamplesExtension(griffe.Extension):
    """Rename and indent the section in every docstring, so that its code is shown as code."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(_as_examples, obj.docstring.value)


def _as_examples(match):
    return f"Examples:\n{textwrap.indent(match[1].strip(), '    ')}\n\n"
