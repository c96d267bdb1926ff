"""A test runs this file in a separate process: counts over two logical devices."""

import keras
import numpy as np
import tensorflow as tf

from eseg_keras.metrics import SegmentationScores

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
images = rng.normal(size=(10, 6, 8, 3)).astype("float32")
masks = rng.choice([0, 1, 2, 255], (10, 6, 8)).astype("uint8")


def scores_of(strategy, masks, start):
    """Return logs, counts and invalid labels after `evaluate`, and counts beyond 32 bits."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((6, 8, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
        metric = SegmentationScores(3)
        model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(y_pred**2), metrics=[metric])
    # Ten images in batches of four: in the last batch, each replica has one image.
    logs = model.evaluate(images, masks, batch_size=4, verbose=0, return_dict=True)
    logs.pop("loss")
    seen = metric.confusion_matrix(), metric.invalid_labels()

    @tf.function
    def count():
        def replica():
            metric.low.assign(tf.fill(metric.low.shape, start % 2**20))
            metric.high.assign(tf.fill(metric.high.shape, start // 2**20))
            metric.update_state(masks, masks)

        strategy.run(replica)

    count()
    return logs, *seen, metric.confusion_matrix()


one = scores_of(tf.distribute.get_strategy(), masks, 2**33)
two = scores_of(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), masks, 2**33)
assert set(one[0]) == {"mean_iou", "pixel_accuracy"}, one[0]
for name, value in one[0].items():
    np.testing.assert_allclose(two[0][name], value, rtol=1e-6)
np.testing.assert_array_equal(two[1], one[1])
assert one[1].sum() == (masks != 255).sum() and one[2] == two[2] == {}
# Each replica counted all pixels again, starting from 2**33 in every cell.
np.testing.assert_array_equal(two[3], 2 * one[3])
assert one[3].min() >= 2**33

masks[9, 0, :3] = 7
assert scores_of(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), masks, 0)[2] == {7: 3}
print("replicated")
