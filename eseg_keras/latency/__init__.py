"""Times of networks in every format on this machine, and which one fits a budget."""

from eseg_keras.latency.accuracy import PAPER_MEAN_IOU as PAPER_MEAN_IOU
from eseg_keras.latency.accuracy import paper_mean_iou as paper_mean_iou
from eseg_keras.latency.formats import FORMATS as FORMATS
from eseg_keras.latency.measurement import GIVEN as GIVEN
from eseg_keras.latency.measurement import Loaded as Loaded
from eseg_keras.latency.measurement import Way as Way
from eseg_keras.latency.measurement import load_ways as load_ways
from eseg_keras.latency.measurement import measure as measure
from eseg_keras.latency.recommendation import Recommendation as Recommendation
from eseg_keras.latency.recommendation import recommend as recommend
from eseg_keras.latency.rows import result_rows as result_rows
from eseg_keras.latency.timing import Timing as Timing
from eseg_keras.latency.timing import timed_rounds as timed_rounds
from eseg_keras.latency.timing import timings as timings
