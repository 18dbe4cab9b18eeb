"""The command line: `python -m depthpro COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

from depthpro import predict
from depthpro.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 if some inputs failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m depthpro", description="Sharp metric depth from one photo."
    )
    parser.add_argument("--version", action="version", version=f"depthpro {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "predict", help="depth, picture and 3D files for a photo or a folder of photos"
    )
    predict.add_arguments(command)
    options = parser.parse_args(arguments)
    try:
        return predict.run(options)
    except ValueError as error:
        parser.exit(2, f"{parser.prog} {options.command}: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
