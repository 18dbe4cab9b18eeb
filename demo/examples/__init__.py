"""The example photos: scikit-image's, and rendered ones with their true depth."""

import functools
from importlib.resources import files
from pathlib import Path

FOLDER = Path(__file__).parent
FIRST = "room"
"""The page opens with this one."""
TITLES = {
    "room": "Room",
    "astronaut": "Astronaut",
    "coffee": "Coffee",
    "motorcycle_left": "Motorcycle",
    "chelsea": "Cat",
    "rocket": "Rocket",
    "street": "Street",
    "nature": "Nature",
}
"""Names of the files without their suffix, which links use, and what visitors read."""


@functools.cache
def path(name: str) -> Path:
    """Return the file of an example.

    Raises:
        ValueError: If there is none of this name.
    """
    if name in TITLES:
        for folder in (FOLDER, Path(str(files("skimage") / "data"))):
            for suffix in (".jpg", ".png"):
                if (folder / (name + suffix)).is_file():
                    return folder / (name + suffix)
    raise ValueError(f"Expected an example of {', '.join(TITLES)}; got {name[:50]!r}.")
