"""The page: a pure pipeline, files, figures, and the interface that shows them."""

import sys

# jsonschema, which Gradio loads for MCP, builds a grammar of international addresses where this
# package is installed (by Jupyter). That takes seconds, and nothing here checks such addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType]
