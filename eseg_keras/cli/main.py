"""The command `eseg`: finds the subcommand and turns errors into one sentence."""

import argparse
import os
import sys
import traceback
from pathlib import Path

from absl import app
from absl.flags import argparse_flags

from eseg_keras.cli import (
    benchmark,
    data_check,
    demo_page,
    evaluate,
    experiments,
    export,
    predict,
    presets,
    scenes,
    summary,
    train,
)

COMMANDS = {
    "train": train,
    "experiments": experiments,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "demo-page": demo_page,
    "benchmark": benchmark,
    "data-check": data_check,
    "summary": summary,
    "presets": presets,
    "scenes": scenes,
}
PACKAGE = str(Path(__file__).resolve().parents[1])


class _Parser(argparse_flags.ArgumentParser):
    """A parser whose errors are one sentence, without the whole usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def main() -> None:
    """Run the command line; the exit status is 0, or 2 after a mistake in the input."""
    app.run(_run, flags_parser=_parse)


def _parse(argv):
    parser = _Parser(
        prog="eseg",
        description="Efficient semantic segmentation: train, evaluate and use ESeg networks.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            epilog="example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            inherited_absl_flags=None,
            allow_abbrev=False,
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser.parse_args(argv[1:])


def _run(args):
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print(f"eseg {args.command}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_mistake_in_the_input(error):
            raise
        print(f"eseg {args.command}: {error}", file=sys.stderr)
        return 2


def _is_mistake_in_the_input(error):
    """Whether an error was raised to be read by the user, and not by a fault in the program.

    Those are the errors that the package itself raises, with a sentence of its own, and files that
    cannot be opened. Anything else keeps its traceback.
    """
    if isinstance(error, OSError):
        return True
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    own = str(Path(raised_in).resolve()).startswith(PACKAGE + os.sep)
    # ImportError itself is `eseg_keras.optional.require` naming the extra to install.
    return own and (isinstance(error, ValueError) or type(error) is ImportError)


if __name__ == "__main__":
    main()
