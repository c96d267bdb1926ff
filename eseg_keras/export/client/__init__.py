"""Client for exported SavedModels on TF Serving."""

from eseg_keras.export.client.client import Client as Client
from eseg_keras.export.client.client import ServedPrediction as ServedPrediction
from eseg_keras.export.client.transport import ServingError as ServingError
