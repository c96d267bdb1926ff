"""From images to label maps."""

from eseg_keras.inference.prediction import Prediction as Prediction
from eseg_keras.inference.prediction_job import PredictedFiles as PredictedFiles
from eseg_keras.inference.prediction_job import predict_files as predict_files
from eseg_keras.inference.predictor import TEST_TIME_SCALES as TEST_TIME_SCALES
from eseg_keras.inference.predictor import Predictor as Predictor
from eseg_keras.inference.pseudo_labels import pseudo_label as pseudo_label
from eseg_keras.inference.uncertainty import confidence as confidence
from eseg_keras.inference.uncertainty import entropy as entropy
from eseg_keras.inference.uncertainty import margin as margin
from eseg_keras.inference.video_writer import write_frames as write_frames
from eseg_keras.inference.videos import read_frames as read_frames
