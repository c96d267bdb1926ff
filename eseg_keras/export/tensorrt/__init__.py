"""Export to ONNX files and engines for TensorRT."""
