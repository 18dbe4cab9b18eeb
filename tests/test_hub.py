"""Weights from and to a hub on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import TINY, make_model
from hub import Hub, asked_hub

from depthpro import DepthPro
from depthpro.checkpoint import OWN_LICENCE, PUBLISHED_LICENCE, Provenance
from depthpro.deploy.hub import model_card

_DOWNLOAD = """
import json, time, tqdm
from depthpro import checkpoint
bars = []
class Bar(tqdm.tqdm):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        bars.append(self)
start = time.monotonic()
try:
    path, error = str(checkpoint.download("apple/DepthPro", Bar) / "depth_pro.pt"), None
except ValueError as problem:
    path, error = None, str(problem)
most = max((bar.n for bar in bars if bar.unit == "B"), default=0)
print(json.dumps([path, error, most, time.monotonic() - start]))
"""


def test_a_download_shows_its_progress_and_is_made_once(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    command = [sys.executable, "-c", _DOWNLOAD]
    with asked_hub(Hub(content), tmp_path) as environment:
        answer = subprocess.run(command, env=environment, capture_output=True, check=True)
    path, error, most, _ = json.loads(answer.stdout)
    assert error is None
    assert Path(path).read_bytes() == content
    assert most == len(content)
    again = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(again.stdout)[0] == path  # the hub has gone


def test_a_hub_that_never_answers_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    with asked_hub(Hub(b"", silent=True), tmp_path) as environment:
        command = [sys.executable, "-c", _DOWNLOAD]
        answer = subprocess.run(command, env=environment, capture_output=True, check=True)
    path, error, _, seconds = json.loads(answer.stdout)
    assert path is None
    assert "neither the hub nor its cache has it (ReadTimeout)" in error
    assert 9 < seconds < 20


_PUSH = """
import os, sys
from depthpro import DepthPro
model = DepthPro.from_pretrained(sys.argv[1], device="cpu")
print(model.push_to_hub("me/depth"))
model.push_to_hub("me/depth")  # it is there by now
DepthPro.from_pretrained("me/depth", device="cpu").save_pretrained(sys.argv[2])
os.environ["HF_TOKEN"] = "hf_of_another"
model.push_to_hub("me/depth")
"""


def test_what_is_pushed_is_read_back(tmp_path: Path) -> None:
    model = make_model()
    model.provenance = Provenance("tiny", OWN_LICENCE, record='{"seed": 7}')
    given = model.save_pretrained(tmp_path / "tiny.safetensors", '{"seed": 7}')
    hub = Hub()
    with asked_hub(hub, tmp_path / "cache") as environment:
        command = [sys.executable, "-c", _PUSH, str(given), str(tmp_path / "back")]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert answer.stdout.strip() == f"{hub.url}/me/depth", answer.stderr
    files = hub.repositories["me/depth"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads(files["config.json"])["neck_dims"] == list(TINY.neck_dims)
    back = DepthPro.from_pretrained(tmp_path / "back", device="cpu")
    assert back.config == TINY
    assert (back.provenance.licence, back.provenance.record) == (OWN_LICENCE, '{"seed": 7}')
    for name, weight in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight)
    assert "the hub does not take 'me/depth'" in answer.stderr
    assert "hf auth login" in answer.stderr


@pytest.mark.parametrize(
    ("licence", "field", "research_only"),
    [(OWN_LICENCE, "apache-2.0", False), (PUBLISHED_LICENCE, "apple-amlr", True),
     ("CC BY-NC 4.0", "other", False)],
)  # fmt: skip
def test_the_card_has_licence_and_record(licence: str, field: str, research_only: bool) -> None:
    model = make_model()
    model.provenance = Provenance("tiny", licence, record='{"seed": 7}')
    card = model_card(model, "me/depth")
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == field
    assert front.get("license_name") == ("cc-by-nc-4-0" if field == "other" else None)
    assert front["pipeline_tag"] == "depth-estimation"
    assert f"**Licence: {licence}.**" in card
    assert ("for research alone" in card) == research_only
    assert '{"seed": 7}' in card
    assert 'DepthPro.from_pretrained("me/depth")' in card
