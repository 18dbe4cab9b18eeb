"""The network for other places: ONNX files, the hub, a compiled graph."""
