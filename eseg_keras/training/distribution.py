"""The devices of a run: one device, several devices, several machines or a TPU."""

import contextlib
import dataclasses
import json
import math
import os
from typing import Any, Literal, get_args

import keras

from eseg_keras.data.batches import Batches

StrategyName = Literal["auto", "one_device", "mirrored", "multi_worker", "tpu"]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The devices of a run; every batch is divided over them.

    `strategy` is a `tf.distribute` strategy; `None` for one device, and on JAX, where
    `keras.distribution` shards the arrays. `worker` is (index of this process, number of
    processes).
    """

    name: str
    num_devices: int = 1
    strategy: Any = None
    worker: tuple[int, int] = (0, 1)

    @property
    def writes(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.worker[0] == 0

    def drops_remainder(
        self, num_examples: int, batch_size: int, gradient_accumulation_steps: int = 1
    ) -> bool:
        """Return whether the last, smaller batch must be skipped.

        Every replica requires at least `gradient_accumulation_steps` images.
        """
        if batch_size % self.num_devices:
            raise ValueError(
                f"batch_size={batch_size} cannot be divided over {self.num_devices} devices. "
                f"Choose a multiple of {self.num_devices}."
            )
        remainder = num_examples % batch_size
        parts = self.num_devices * gradient_accumulation_steps
        # Equal parts are required by JAX, by TPUs (static shapes), and by several workers with
        # several devices each.
        on_jax = keras.backend.backend() == "jax"
        is_split_twice = 1 < self.worker[1] < self.num_devices
        on_tpus = self.name == "tpu" and self.num_devices > 1
        if parts > 1 and (on_jax or on_tpus or is_split_twice):
            return remainder % parts != 0
        fewest = remainder // self.num_devices
        if self.worker[1] == 1:
            # TensorFlow gives every replica ceil(remainder / num_devices) images until none is
            # left; the last replica gets the rest.
            fewest = remainder - math.ceil(remainder / self.num_devices) * (self.num_devices - 1)
        return remainder > 0 and fewest < gradient_accumulation_steps

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context manager in which the model must be built."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def dataset(self, batches: Batches, initial_epoch: int = 0, initial_batch: int = 0):
        """Return the batches of this process as a dataset for `fit` and `evaluate`."""
        if keras.backend.backend() != "tensorflow":
            return batches.to_py_dataset(initial_epoch, initial_batch)
        dataset = batches.to_tf_dataset(initial_epoch, initial_batch)
        if self.name != "multi_worker":
            return dataset
        if self.num_devices > self.worker[1]:
            dataset = dataset.rebatch(batches.batch_size // self.num_devices)
        # If Keras got `dataset` itself, it would let the strategy split every batch again.
        return self.strategy.distribute_datasets_from_function(lambda _: dataset)


ONE_DEVICE = Distribution("one_device")


def make_distribution(name: StrategyName = "auto", steps_per_execution: int = 1) -> Distribution:
    """Choose the devices of a run. Call it before anything else initializes the backend.

    Args:
        name: `"one_device"`; `"mirrored"` for all GPUs of this machine, or its CPU if it has no
            GPU; `"multi_worker"` for the machines that the environment variable TF_CONFIG lists;
            `"tpu"` for the TPU of this machine, or the one that the environment variable TPU_NAME
            names; `"auto"` for the best available. On JAX `"mirrored"` is data parallelism over all
            devices, TPUs included.
        steps_per_execution: Number of steps per call of the compiled function.

    Returns:
        The distribution. Batches are divided over its devices.

    Raises:
        ValueError: If there are no such devices, or the backend does not support them.

    Example:

    >>> from eseg_keras.training.distribution import make_distribution
    >>> make_distribution("one_device").num_devices
    1
    """
    if name not in (names := get_args(StrategyName)):
        raise ValueError(f"There is no strategy {name!r}. Choose one of {', '.join(names)}.")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _on_tensorflow(name, steps_per_execution)
    if backend == "jax" and name in ("auto", "mirrored"):
        devices = keras.distribution.list_devices()
        if len(devices) > 1:
            keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
            return Distribution("mirrored", num_devices=len(devices))
    if name in ("auto", "one_device") or backend == "jax" and name == "mirrored":
        return ONE_DEVICE
    raise ValueError(
        f"The strategy {name!r} needs the TensorFlow backend. Received: KERAS_BACKEND={backend}. "
        + ("On JAX, mirrored uses all devices, TPUs included." if backend == "jax" else "")
    )


def _on_tensorflow(name, steps_per_execution):
    import tensorflow as tf

    if name == "auto":
        name = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one_device"
        if os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
            name = "tpu"
        if len(_workers()) > 1:
            name = "multi_worker"
    if name == "one_device":
        # TensorFlow's default strategy: the first GPU if there is one, with XLA.
        return ONE_DEVICE
    if name == "multi_worker":
        return _multi_worker(tf)
    if name == "tpu":
        return _tpu(tf)
    devices = [d.name for kind in ("GPU", "CPU") for d in tf.config.list_logical_devices(kind)]
    devices = [d for d in devices if "GPU" in d] or devices
    # With several steps per execution, the graph has a loop, in which the default reduction fails.
    reduction = tf.distribute.ReductionToOneDevice() if steps_per_execution > 1 else None
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)
    return Distribution(name, strategy.num_replicas_in_sync, strategy)


_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


def _workers():
    """Return the addresses of the chief and the workers in TF_CONFIG."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster = config.get("cluster")
        if not cluster:  # On a single machine, cloud services set TF_CONFIG without a cluster.
            return []
        task = config["task"]
        for name, addresses in cluster.items():
            if not isinstance(addresses, list) or not all(":" in place for place in addresses):
                raise ValueError(f"{name} is {addresses}, not a list of addresses with ports")
        if not 0 <= int(task["index"]) < len(cluster[task["type"]]):
            raise ValueError(f"there is no {task['type']} with index {task['index']}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(
            f"The environment variable TF_CONFIG cannot be used: {missing}. Expected JSON such as "
            f"{_EXAMPLE}. Received: {text:.200}"
        ) from error
    return [*cluster.get("chief", ()), *cluster.get("worker", ())]


def _multi_worker(tf):
    if not _workers():
        raise ValueError(
            f"The strategy multi_worker needs the environment variable TF_CONFIG, such as "
            f"{_EXAMPLE}."
        )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            "The workers of the environment variable TF_CONFIG cannot be used: "
            f"{str(error).splitlines()[0]}. Check the addresses, and that no process uses the port."
        ) from error
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    place = resolver.task_id + (has_chief and resolver.task_type == "worker")
    worker = (place, len(_workers()))
    return Distribution("multi_worker", strategy.num_replicas_in_sync, strategy, worker)


def _tpu(tf):
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"There is no TPU {name!r}: {str(error).splitlines()[0]}. Set TPU_NAME, or choose "
            "another strategy."
        ) from error
    strategy = tf.distribute.TPUStrategy(resolver)
    return Distribution("tpu", strategy.num_replicas_in_sync, strategy)
