"""Training on several devices equals training on one; each strategy needs a new process."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from eseg_keras.training.distribution import Distribution, make_distribution

SCRIPT = pathlib.Path(__file__).with_name("train_small.py")
OPTIONS = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


# "7x1": 7 images in batches of 4; of the 3 images in the last batch, one device gets two and the
# other gets one. "8x2": 8 images, and each batch is computed in two parts.
TRAININGS = ["7x1", "8x2"]


def run(folder, strategy, devices, workers=1):
    """Train with one process per worker; return the results of the first worker per training."""
    folder.mkdir()
    arguments = [strategy, str(devices), folder, *TRAININGS]
    processes = []
    ports = free_ports(workers)
    for index in range(workers):
        environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
        if workers > 1:
            cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, SCRIPT, *arguments]
        processes.append(subprocess.Popen(command, env=environment, **OPTIONS))
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, outputs, strict=True):
        assert process.returncode == 0, text[-3000:]
    return [np.load(folder / f"{training}.npz") for training in TRAININGS]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def assert_same(one, other):
    assert set(one.files) == set(other.files) and len(one.files) > 100
    assert one["logs"].shape == (6, 2) and np.isfinite(one["logs"]).all()
    for name in set(one.files) - {"devices"}:
        np.testing.assert_allclose(other[name], one[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_and_two_workers_train_as_one_device_does(tmp_path):
    results = [
        run(tmp_path / "one", "one_device", 1),
        run(tmp_path / "mirrored", "mirrored", 2),
        run(tmp_path / "workers", "multi_worker", 1, workers=2),
    ]
    for one, mirrored, workers in zip(*results, strict=True):
        assert (one["devices"], mirrored["devices"], workers["devices"]) == (1, 2, 2)
        assert_same(one, mirrored)
        assert_same(one, workers)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX needs equal parts")
def test_no_replica_is_without_an_image(tmp_path):
    output = tmp_path / "splits.json"
    subprocess.run([sys.executable, SCRIPT.with_name("split_batches.py"), output], check=True)
    for devices, remainder, images in json.loads(output.read_text()):
        distribution = Distribution("mirrored", num_devices=devices)
        skipped = distribution.drops_remainder(12 + remainder, 12)
        assert skipped == (min(images) == 0), (devices, remainder, images)


@pytest.mark.parametrize(
    "name, message",
    [("two_devices", "Choose one of auto, one_device"), ("multi_worker", "TF_CONFIG"),
     ("tpu", "There is no TPU 'local'")],
)  # fmt: skip
def test_devices_that_are_not_there(monkeypatch, name, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=message):
        make_distribution(name)


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert make_distribution("auto") == Distribution("one_device")
    for text in ("", "{}", '{"environment": "cloud", "cluster": {}, "task": {}}'):
        monkeypatch.setenv("TF_CONFIG", text)
        assert make_distribution("auto") == Distribution("one_device")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("{not json", "Expecting property name"),
        ("[1]", "'list' object"),
        ('"worker"', "'str' object"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "'task' is missing"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "not a list"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "with ports"),
        ('{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}', "int"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "there is no worker with index 1",
        ),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "'chief' is"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "a"}}', "'a'"),
        ('{"cluster": ["a:1", "b:1"], "task": {"type": "worker", "index": 0}}', "items"),
    ],
)
@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_a_cluster_that_cannot_be_used(monkeypatch, name, text, problem):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Only TensorFlow reads TF_CONFIG.")
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=f"TF_CONFIG cannot be used: .*{problem}.*Expected JSON"):
        make_distribution(name)


def test_which_last_batches_are_skipped():
    def skipped(distribution, sizes, steps=1):
        return [n for n in sizes if distribution.drops_remainder(16 + n, 16, steps)]

    mirrored = Distribution("mirrored", num_devices=2)
    on_jax = keras.backend.backend() == "jax"
    assert skipped(mirrored, range(5)) == ([1, 3] if on_jax else [1])
    assert skipped(mirrored, (0, 3, 4, 5), steps=2) == ([3, 5] if on_jax else [3])
    four = Distribution("mirrored", num_devices=4)
    assert skipped(four, range(9)) == ([1, 2, 3, 5, 6, 7] if on_jax else [1, 2, 3, 5, 6])
    # TPUs, and workers with several devices, need equal shares.
    for distribution in (
        Distribution("tpu", num_devices=4),
        Distribution("multi_worker", num_devices=4, worker=(0, 2)),
    ):
        assert skipped(distribution, (0, 2, 4, 6, 8)) == [2, 6]
    workers = Distribution("multi_worker", num_devices=2, worker=(0, 2))
    assert skipped(workers, [3]) == ([3] if on_jax else [])
    with pytest.raises(ValueError, match="batch_size=7 cannot be divided over 2 devices"):
        mirrored.drops_remainder(8, 7)
