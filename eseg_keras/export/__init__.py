"""Export models to SavedModel, TFLite, ONNX, OpenVINO and TensorRT; verify and run the files."""

from eseg_keras.export.client import Client as Client
from eseg_keras.export.client import ServedPrediction as ServedPrediction
from eseg_keras.export.client import ServingError as ServingError
from eseg_keras.export.exported_predictor import ExportedPredictor as ExportedPredictor
from eseg_keras.export.onnx.conversion import read_onnx_classes as read_onnx_classes
from eseg_keras.export.onnx.exporter import export_onnx as export_onnx
from eseg_keras.export.openvino import export_openvino as export_openvino
from eseg_keras.export.openvino import read_openvino_classes as read_openvino_classes
from eseg_keras.export.saved_model.exporter import export_saved_model as export_saved_model
from eseg_keras.export.served_graph.network import serving_model as serving_model
from eseg_keras.export.tensorrt.exporter import export_tensorrt as export_tensorrt
from eseg_keras.export.tflite.exporter import export_tflite as export_tflite
from eseg_keras.export.tflite.exporter import read_tflite_classes as read_tflite_classes
from eseg_keras.export.verification import Verification as Verification
from eseg_keras.export.verification import VerificationError as VerificationError
from eseg_keras.export.verification import verify as verify
