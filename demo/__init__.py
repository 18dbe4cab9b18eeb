"""The page: a pure pipeline, files, figures, and the interface that shows them."""
