"""The network for other places: ONNX files and their network, the hub, compiled and int8 blocks."""
