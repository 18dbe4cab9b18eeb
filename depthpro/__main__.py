"""The command line: `python -m depthpro COMMAND`."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from depthpro.version import __version__

COMMANDS = {  # module and summary
    "predict": ("predict", "depth, picture and 3D files for a photo or a folder of photos"),
    "render": ("scenes.render", "procedural scenes with depth, as shards for training"),
    "train": ("training.train", "the two-stage curriculum and field of view, on any RGB-D data"),
    "evaluate": ("evaluation.run", "measures of a network on held-out samples, beside baselines"),
    "calibrate": ("evaluation.calibrate", "errors of depth, measured and stored with the weights"),
    "ablate": ("training.ablate", "the paper's ablations in miniature, beside the paper's numbers"),
    "export": ("deploy.onnx", "the network as an ONNX file, checked against PyTorch"),
    "benchmark": ("evaluation.speed", "time and memory from photo to depth"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 if some inputs failed, 2 for wrong usage."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch's large maps in large pages
    parser = argparse.ArgumentParser(
        prog="python -m depthpro", description="Sharp metric depth from one photo."
    )
    parser.add_argument("--version", action="version", version=f"depthpro {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    given = sys.argv[1:] if arguments is None else arguments
    for name, (module, summary) in COMMANDS.items():
        description = summary[0].upper() + summary[1:]
        subparser = commands.add_parser(name, help=summary, description=description)
        if name in given[:1]:  # import this command alone: some need more packages
            try:
                command = importlib.import_module(f"depthpro.{module}")
            except ModuleNotFoundError as error:
                parser.exit(
                    2,
                    f"{parser.prog} {name} needs {error.name}, which is not installed: "
                    "pip install -e '.[train,scenes]'\n",
                )
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a file name that cannot be printed is no failure
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return options.run(options)
    except (ValueError, OSError, MemoryError) as error:
        parser.exit(2, f"{parser.prog} {options.command}: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
