"""Measure the latency of networks in every format, and recommend a network for a latency budget."""

from eseg_keras.latency.formats import FORMATS as FORMATS
from eseg_keras.latency.measurement import EXTERNAL as EXTERNAL
from eseg_keras.latency.measurement import Variant as Variant
from eseg_keras.latency.measurement import Variants as Variants
from eseg_keras.latency.measurement import load_variants as load_variants
from eseg_keras.latency.measurement import measure as measure
from eseg_keras.latency.measurement import result_rows as result_rows
from eseg_keras.latency.recommendation import PAPER_MEAN_IOU as PAPER_MEAN_IOU
from eseg_keras.latency.recommendation import Recommendation as Recommendation
from eseg_keras.latency.recommendation import paper_mean_iou as paper_mean_iou
from eseg_keras.latency.recommendation import recommend as recommend
from eseg_keras.latency.timing import Timing as Timing
from eseg_keras.latency.timing import timed_rounds as timed_rounds
from eseg_keras.latency.timing import timings as timings
