"""Show label maps, scores and weights as images and plots."""

from eseg_keras.visualization.curves import plot_comparison as plot_comparison
from eseg_keras.visualization.curves import plot_learning_curves as plot_learning_curves
from eseg_keras.visualization.grids import label_grid as label_grid
from eseg_keras.visualization.legend import add_legend as add_legend
from eseg_keras.visualization.overlays import default_palette as default_palette
from eseg_keras.visualization.overlays import label_image as label_image
from eseg_keras.visualization.overlays import overlay as overlay
from eseg_keras.visualization.plots import plot_confusion_matrix as plot_confusion_matrix
from eseg_keras.visualization.plots import plot_level_weights as plot_level_weights
