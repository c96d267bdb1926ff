"""Time and memory of training steps, on TensorFlow and JAX."""

import resource
import sys
import time
from dataclasses import dataclass

# Untimed steps at the start of a block, because the input pipeline starts empty.
WARM_UP = 3


@dataclass(frozen=True)
class Block:
    """Seconds in one call of `fit`: wall and CPU time per timed step, wall time of the first."""

    wall: float
    cpu: float
    first_step: float


def run_block(model, data, steps: int) -> Block:
    """Run `WARM_UP + steps` steps with `fit`, and time the last `steps`."""
    import keras

    ends = []

    def note():
        ends.append((time.perf_counter(), time.process_time()))

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            note()

        def on_train_batch_end(self, batch, logs=None):
            # Reading the loss waits for the device.
            float(logs["loss"])
            note()

    model.fit(data, steps_per_epoch=WARM_UP + steps, shuffle=False, verbose=0, callbacks=[Clock()])
    wall, cpu = (
        (last - first) / steps for first, last in zip(ends[WARM_UP], ends[-1], strict=True)
    )
    return Block(wall, cpu, ends[1][0] - ends[0][0])


def one_batch(batch, like):
    """Return an endless data set of one batch.

    Args:
        batch: Tuple of arrays.
        like: The data set of the input pipeline. On TensorFlow the result has the same static
            shapes, because other shapes would compile another graph of the step.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensors(batch).repeat()
        variant = tf.data.experimental.to_variant(dataset)
        return tf.data.experimental.from_variant(variant, like.element_spec)

    class OneBatch(keras.utils.PyDataset):
        def __len__(self):
            return 1_000_000

        def __getitem__(self, index):
            return batch

    return OneBatch()


def check_device(device):
    """Raise an error if the backend has no such device."""
    import keras

    devices = keras.distribution.list_devices()
    if not devices[0].startswith(device):
        raise ValueError(f"There is no {device}. {keras.backend.backend()} has {devices}.")


def peak_memory() -> float:
    """Return the peak memory so far in MB: of the GPU, or else of this process."""
    import keras

    if not keras.distribution.list_devices()[0].startswith("gpu"):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3 / 1.024)
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
