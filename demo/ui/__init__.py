"""The interface; the only package that knows Gradio. `page` puts the tabs together."""

from demo.ui.page import LAUNCH, build_page, serve

__all__ = ["LAUNCH", "build_page", "serve"]
