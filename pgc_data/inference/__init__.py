"""Running exported networks with ONNX Runtime: what a file says of itself, its inputs, images to feed it."""
