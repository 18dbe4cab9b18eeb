"""Weights to the hub: file, config and model card."""

import json
import re
import tempfile
from pathlib import Path

import huggingface_hub

from depthpro.checkpoint import OWN_LICENCE, PUBLISHED_LICENCE
from depthpro.model import DepthPro

_IDS = {OWN_LICENCE: "apache-2.0", PUBLISHED_LICENCE: "apple-amlr"}  # as the hub calls licences
_RESEARCH_ONLY = """
These weights are the published ones of Apple, or made from them: they are for research alone, and
passed on under Apple's licence.
"""


def push(model: DepthPro, name: str, private: bool | None = None) -> str:
    """Upload `model.safetensors`, `config.json` and a model card; return the page's address.

    Raises:
        ValueError: If the hub does not take them.
    """
    hub = huggingface_hub.HfApi()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.dumps(json.loads(model.config.to_json()), indent=2)
        Path(folder, "config.json").write_text(config + "\n", encoding="utf-8")
        try:
            name = hub.create_repo(name, private=private, exist_ok=True).repo_id
            Path(folder, "README.md").write_text(model_card(model, name) + "\n", encoding="utf-8")
            message = f"Upload by depthpro: {model.provenance.name}"
            hub.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
        except Exception as error:  # of the client, its HTTP library and the disk
            raise ValueError(
                f"the hub does not take {name!r} ({type(error).__name__}: {error}): log in with a "
                "token that may write there (`hf auth login`), or choose another name"
            ) from error
    return f"{hub.endpoint}/{name}"


def model_card(model: DepthPro, name: str) -> str:
    """Return the README.md of a model on the hub, as its front matter and Markdown."""
    made, config = model.provenance, model.config
    known = _IDS.get(made.licence)
    data = huggingface_hub.ModelCardData(
        license=known or "other",
        license_name=None if known else re.sub(r"\W+", "-", made.licence.lower()).strip("-"),
        library_name="depthpro",
        pipeline_tag="depth-estimation",
        tags=["depth-estimation", "monocular-depth", "metric-depth"],
    )
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    notice = _RESEARCH_ONLY if made.licence == PUBLISHED_LICENCE else ""
    error = made.depth_error
    measured = error and (
        f"\n## How far off\n\nOn held-out pictures all depths of a picture are off by "
        f"{100 * error.scale:.0f} % together, and each point by {100 * error.point:.0f} % more.\n"
    )
    return f"""---
{data.to_yaml()}
---

# {name}

[Depth Pro](https://arxiv.org/abs/2410.02073) by `depthpro`: sharp metric depth from one photo.
{millions:.1f} million parameters; reads {config.image_size} × {config.image_size} pixels.

**Licence: {made.licence}.**
{notice}
## Use

```python
from depthpro import DepthPro, load_image
photo = load_image("photo.jpg")
depth = DepthPro.from_pretrained("{name}").infer(photo.rgb, photo.f_px).depth  # metres
```
{measured or ""}
## How they were made

From {made.name}.

```
{made.record or "Their file has no record."}
```"""
