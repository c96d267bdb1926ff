"""Scores as each benchmark defines them, reports and benchmark submissions."""

from eseg_keras.evaluation.label_map_files import evaluate_files as evaluate_files
from eseg_keras.evaluation.rules import evaluation_of as evaluation_of
from eseg_keras.evaluation.scores import Evaluation as Evaluation
from eseg_keras.evaluation.scores import ImageScores as ImageScores
from eseg_keras.evaluation.scoring import evaluate as evaluate
