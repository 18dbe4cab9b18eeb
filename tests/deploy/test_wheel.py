"""The wheel that `python -m build` or `pip wheel` makes."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_weights_types_tables_and_the_command(tmp_path: Path) -> None:
    source = tmp_path / "source"  # building leaves folders behind
    shutil.copytree(ROOT / "depthpro", source / "depthpro")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", str(source), *options], check=True)
    (path,) = tmp_path.glob("depthpro-*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "depthpro = depthpro.__main__:main" in wheel.read(entry).decode()
        weights = wheel.read("depthpro/weights/small.safetensors")
    assert weights == (ROOT / "depthpro/weights/small.safetensors").read_bytes()
    assert "depthpro/py.typed" in names
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "depthpro").rglob("*.py")}
    tables = {str(file.relative_to(ROOT)) for file in (ROOT / "depthpro").rglob("*.csv")}
    assert modules | tables <= names
    assert not [name for name in names if name.startswith(("tests", "demo"))]
