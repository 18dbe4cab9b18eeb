"""Run lessons in place: `python notebooks/execute.py` for all, or with the names of some."""

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

FOLDER = Path(__file__).parent
LIMIT_S = 300
"""A cell that takes longer is stopped."""


def lessons() -> list[Path]:
    """Return the notebooks in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def client(path: Path) -> NotebookClient:
    """Return what runs a notebook in its folder; outputs carry no times, so that runs compare."""
    notebook = nbformat.read(path, as_version=4)
    return NotebookClient(
        notebook,
        timeout=LIMIT_S,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # else what is printed is split differently each time
        extra_arguments=["--IPKernelApp.log_level=40"],  # it warns of each local kernel
        resources={"metadata": {"path": str(FOLDER)}},
    )


def execute(path: Path) -> float:
    """Run a notebook, write it back with its outputs, and return the seconds that it took.

    Raises:
        CellExecutionError: If a cell fails; the file stays as it was.
    """
    start = time.perf_counter()
    run = client(path)
    run.execute()
    for cell in run.nb.cells:
        cell.metadata.pop("execution", None)
    run.nb.metadata["language_info"] = {"name": "python"}  # the version would differ by machine
    nbformat.write(run.nb, path)
    return time.perf_counter() - start


def main() -> int:
    """Run the lessons that were asked for and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 02 or 02_network; all if none is given")
    names = parser.parse_args().names
    chosen = [p for p in lessons() if not names or any(p.stem.startswith(n) for n in names)]
    if not chosen:
        known = ", ".join(path.stem for path in lessons())
        print(f"execute.py: no lesson is called {' or '.join(names)}; there are {known}")
        return 2
    failed = 0
    for path in (bar := tqdm(chosen, unit="lesson")):
        bar.set_postfix_str(path.stem)
        try:
            tqdm.write(f"{path.stem}: {execute(path):.0f} s")
        except CellExecutionError as error:
            tqdm.write(f"{path.stem} failed:\n{error}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
