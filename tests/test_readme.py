"""What the README says is so."""

import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

import depthpro
from depthpro.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_front_matter_is_a_spaces() -> None:
    front = yaml.safe_load(README.split("---")[1])
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60
    wanted = re.search(r"gradio\[mcp\]>=([\d.]+),<(\d+)", (ROOT / "requirements.txt").read_text())
    assert wanted is not None
    assert front["sdk_version"].startswith(wanted[1])
    assert front["license"] == "apache-2.0"


def test_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "torch.Size([1, 48, 64]) metres" in capsys.readouterr().out


def test_commands_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
    commands = set(re.findall(r"python -m depthpro (\w+)", README))
    assert commands == set(COMMANDS) - {"ablate"}
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
    assert "--fov-deg" in capsys.readouterr().out
    for script in re.findall(r"python (tests/\w+\.py)", README):
        assert (ROOT / script).is_file()


def test_tree_names_every_module_and_nothing_else() -> None:
    (tree,) = re.findall(r"```\n(app\.py.*?)```", README, re.DOTALL)
    package, page = tree[tree.index("depthpro/") :].split("demo/")
    for text, folder in ((package, "depthpro"), (page, "demo")):
        modules = {path.name for path in (ROOT / folder).glob("*.py")}
        assert set(re.findall(r"\w+\.py", text)) == modules - {"__init__.py", "version.py"}


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", README):
        assert (ROOT / target).is_file(), target
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {depthpro.__version__}" in changelog


def test_requirements_of_page_and_package_agree() -> None:
    listed = dict(re.findall(r"^([\w-]+)>=([\d.]+)", (ROOT / "requirements.txt").read_text(), re.M))
    project = (ROOT / "pyproject.toml").read_text()
    (needed,) = re.findall(r"dependencies = \[(.*?)\]", project, re.DOTALL)
    for name, version in re.findall(r'"([\w-]+)>=([\d.]+)"', needed):
        assert listed[name] == version
