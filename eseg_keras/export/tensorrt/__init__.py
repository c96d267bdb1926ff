"""ONNX files and engines for TensorRT."""
