"""The tabs of the page, a folder each: arithmetic and drawing first, Gradio in `ui`."""
