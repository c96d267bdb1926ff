"""From a trained model to figures and pictures."""

from eseg_keras.inference.evaluation import Evaluation as Evaluation
from eseg_keras.inference.evaluation import evaluate as evaluate
from eseg_keras.inference.evaluation import evaluation_of as evaluation_of
from eseg_keras.inference.legend import add_legend as add_legend
from eseg_keras.inference.overlays import default_palette as default_palette
from eseg_keras.inference.overlays import label_image as label_image
from eseg_keras.inference.overlays import overlay as overlay
from eseg_keras.inference.predict import predict_files as predict_files
