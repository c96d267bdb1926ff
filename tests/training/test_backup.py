import json

import keras
import numpy as np
import pytest

from eseg_keras.training.backup import Backup, SaveBest, latest_backup, write_json


def small_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def fit(model, epochs, callbacks=(), initial_epoch=0):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    model.fit(
        x, y, batch_size=4, epochs=epochs, initial_epoch=initial_epoch, shuffle=False,
        callbacks=list(callbacks), verbose=0,
    )  # fmt: skip


def test_nothing_saved_yet(tmp_path):
    assert latest_backup(tmp_path / "backup") == (0, None)


def test_one_file_stays_and_restores_weights_and_optimizer(tmp_path):
    keras.utils.set_random_seed(1)
    whole = small_model()
    start = whole.get_weights()
    fit(whole, 4)

    first = small_model()
    first.set_weights(start)
    fit(first, 2, [Backup(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_000002.weights.h5"]

    epoch, path = latest_backup(tmp_path)
    resumed = small_model()
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(path)
    fit(resumed, 4, initial_epoch=epoch)
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_epochs_are_compared_as_numbers(tmp_path):
    for epoch in (9, 10, 100):
        (tmp_path / f"epoch_{epoch:06d}.weights.h5").touch()
    (tmp_path / "tmp.epoch_000101.weights.h5").touch()  # A torn file.
    assert latest_backup(tmp_path)[0] == 100


@pytest.mark.parametrize("best_before", [-1.0, 0.45])
def test_best_is_kept(tmp_path, best_before):
    model = small_model()
    callback = SaveBest(tmp_path / "best.weights.h5", best_before)
    callback.set_model(model)
    kept = None
    for score in (0.4, 0.6, 0.6, 0.5):
        weights = [np.full_like(w, score) for w in model.get_weights()]
        model.set_weights(weights)
        callback.on_epoch_end(0, {"val_mean_iou": score})
        if score == 0.4:
            assert (tmp_path / "best.weights.h5").exists() == (score > best_before)
        if kept is None and score == 0.6:
            kept = weights
    model.load_weights(tmp_path / "best.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[0], kept[0])
    assert callback.best == 0.6
    assert [path.name for path in tmp_path.iterdir()] == ["best.weights.h5"]


def test_json_appears_whole(tmp_path):
    path = tmp_path / "new" / "scores.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
