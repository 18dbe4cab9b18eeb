"""The page: `python app.py`, or a Space that runs this file."""

import argparse
import contextlib
import os
import socket
import sys

# Before torch is loaded: threads that sleep while they wait, instead of spinning, keep the network
# from becoming several times slower whenever another process wants the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # large maps in large pages of memory
with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # pyright: ignore  # also before torch, on ZeroGPU

from demo import network
from demo.hosting import read_accounts
from demo.page import build_page, serve
from depthpro.predict import INT8


def main() -> None:
    """Read the arguments, load the network, and serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description="Depth Pro in the browser.")
    parser.add_argument(
        "--model",
        help="'small', a file, a folder or a hub name such as "
        "'apple/DepthPro'; the published weights on CUDA, else 'small'",
    )
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is if not given")
    parser.add_argument("--int8", action="store_true", help=INT8)
    parser.add_argument("--host", help="address to serve on; 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, help="port to serve on; the first free from 7860")
    parser.add_argument(
        "--auth",
        metavar="FILE",
        help="file with a line user:password for each account; visitors have to log in",
    )
    options = parser.parse_args()
    try:
        _check_address(options.host, options.port)
        accounts = read_accounts(options.auth)
        model = network.start(options.model, options.device, int8=options.int8)
    except ValueError as error:
        sys.exit(f"app.py: {error}")
    serve(build_page(model), options.host, options.port, accounts)


def _check_address(host: str | None, port: int | None) -> None:
    """Raise a ValueError if nothing can be served there, before weights are loaded."""
    family = socket.AF_INET6 if host and ":" in host else socket.AF_INET
    try:
        socket.create_server((host or "127.0.0.1", port or 0), family=family).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"{error}: choose another --host or --port") from None


if __name__ == "__main__":
    main()
