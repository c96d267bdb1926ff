"""The epochs of a run: training, checkpoints, validation, log; from wherever a kill left it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import keras

from eseg_keras.data.epoch_batches import EpochBatches
from eseg_keras.trainer import TrainingModel
from eseg_keras.training.array_file import read_arrays, write_arrays
from eseg_keras.training.checkpoints import (
    AddMetrics,
    Position,
    checkpoint_files,
    latest_checkpoint,
    restore,
    save_checkpoint,
)
from eseg_keras.training.distribution import Distribution
from eseg_keras.training.interruptions import (
    Preempted,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    sigterm_flag,
)
from eseg_keras.training.progress import TrainingProgress
from eseg_keras.training.run_files import Log
from eseg_keras.training.tensorboard import RunBoard


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The epochs of a run.

    Attributes:
        model: The model, compiled for the whole run.
        batches: What it trains on.
        val_batches: What it is validated on.
        distribution: The devices.
        model_dir: Folder of the run, for `log.csv`, `tensorboard/`, `checkpoints/`, `best.npz`.
        num_steps: Steps of the run.
        score: Name of the log whose best value, the highest, marks the best weights.
        val_every: Epochs from one validation to the next; the last epoch is always validated.
        checkpoint_steps: Steps from one checkpoint to the next within an epoch, or `None`.
        board: What is shown in TensorBoard; `None` where this process writes nothing.
    """

    model: TrainingModel
    batches: EpochBatches
    val_batches: EpochBatches
    distribution: Distribution
    model_dir: Path
    num_steps: int
    score: str
    val_every: int = 1
    checkpoint_steps: int | None = None
    board: RunBoard | None = None

    def run(self) -> tuple[int, float]:
        """Train to the last step, from the latest checkpoint.

        Returns:
            The number of epochs begun, and the best score. The metrics hold the last validation.

        Raises:
            Preempted: After SIGTERM, once the state is saved.
            ValueError: If the loss is not finite, images cannot be read, or the last epoch cannot
                be cut where the run ends.
        """
        rest = self.num_steps % len(self.batches)
        if rest % self.model.steps_per_execution:
            raise ValueError(
                f"The last epoch has {rest} of {len(self.batches)} steps, which is no multiple of "
                f"steps_per_execution={self.model.steps_per_execution}: Keras would train past the "
                "end. Change steps, or steps_per_execution."
            )
        checkpoint = latest_checkpoint(self.model_dir / "checkpoints")
        position, best = self._start(checkpoint)
        if self.board is not None:
            self.board.step = position.step
        data = self.distribution.dataset(self.batches, position.epoch)
        val_data = self.distribution.dataset(self.val_batches)
        is_validated = False
        progress = TrainingProgress(
            self.num_steps, position.step, self.batches.batch_size, position.epoch
        )
        with sigterm_flag() as leave, progress, self._named_errors():
            while position.step < self.num_steps or position.logs is not None:
                epoch = position.epoch
                if position.logs is None:
                    callbacks = [progress, *([self.board] if self.board else [])]
                    position = self._train(position, checkpoint, data, leave, callbacks)
                logs, speed = dict(position.logs), progress.images_per_second()
                is_last = position.step >= self.num_steps
                if is_last or (epoch + 1) % self.val_every == 0:
                    logs |= self._validate(val_data, [progress, _leave_on(leave)])
                    is_validated = is_last
                    if logs[f"val_{self.score}"] > best:
                        best = logs[f"val_{self.score}"]
                        self._write_best()
                if self.distribution.writes:
                    self.board.write_epoch(self.model, position.step, logs, speed)
                    Log(self.model_dir / "log.csv").append({"epoch": epoch, **logs})
                    progress.print_epoch(epoch, logs, speed)
                position = Position(position.step, epoch + 1)
            if not is_validated:
                # Killed between the last validation and what came of it.
                self._validate(val_data, [_leave_on(leave)])
        return position.epoch, best

    def read_best(self) -> None:
        """Put the best weights into the model, and what they score into its metrics."""
        # A dictionary keeps the order that it was written in.
        arrays = read_arrays(self.model_dir / "best.npz").values()
        for weight, array in zip(self.model.weights, arrays, strict=True):
            weight.assign(array)
        with self._named_errors():
            self._validate(self.distribution.dataset(self.val_batches), [])

    def _start(self, checkpoint):
        """Where to begin, and the best score before."""
        position = checkpoint.position
        if checkpoint.arrays:
            restore(self.model, checkpoint)
        log = Log(self.model_dir / "log.csv")
        # A kill between the log and the next checkpoint leaves a row that may be written again.
        rows = log.rows()[: position.epoch + (position.logs is not None)]
        if self.distribution.writes:
            log.truncate(len(rows))
        if position.logs is not None and len(rows) > position.epoch:
            # The epoch was validated and logged as well.
            position = Position(position.step, position.epoch + 1)
        name = f"val_{self.score}"
        return position, max((float(row[name]) for row in rows if row.get(name)), default=-1.0)

    def _train(self, position, checkpoint, data, leave, callbacks):
        """Train for an epoch, or for what is left of it; the position after it."""
        epoch, first = position.epoch, position.batch
        last = min(len(self.batches), first + self.num_steps - position.step)

        def save(done):
            return self._save(Position(position.step + done, epoch, first + done))

        def blame(first_done, last_done):
            return self._blame(position, first_done, last_done)

        self.batches.begin_epoch(epoch)
        history = self.model.fit(
            # In the middle of an epoch the data is the rest of it.
            self.distribution.dataset(self.batches, epoch, first) if first else data,
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=last - first,
            # The batches are shuffled as they are made.
            shuffle=False,
            verbose=0,
            callbacks=[
                AddMetrics(checkpoint.arrays if first else {}),
                StopOnNonFiniteLoss(blame),
                *callbacks,
                SaveInEpoch(save, self.checkpoint_steps, leave, position.step),
            ],
        ).history
        logs = {name: float(values[-1]) for name, values in history.items()}
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        logs["learning_rate"] = float(rate)
        position = Position(position.step + last - first, epoch, last, logs)
        self._save(position)
        if leave.is_set():
            raise Preempted
        return position

    def _validate(self, data, callbacks):
        logs = self.model.evaluate(data, verbose=0, return_dict=True, callbacks=callbacks)
        return {f"val_{name}": float(value) for name, value in logs.items()}

    def _save(self, position):
        if self.distribution.writes:
            # Sums over several replicas cannot be put back exactly.
            metrics = self.distribution.strategy is None
            save_checkpoint(self.model_dir / "checkpoints", self.model, position, metrics)

    def _write_best(self):
        if not self.distribution.writes:
            return
        with self.model.averaged_weights():
            weights = {
                f"{number}/{weight.path}": keras.ops.convert_to_numpy(weight)
                for number, weight in enumerate(self.model.weights)
            }
        write_arrays(self.model_dir / "best.npz", weights)

    def _blame(self, position, first, last):
        """Say where the loss went wrong, and what to go back to."""
        names = [
            name
            for batch in range(position.batch + first, position.batch + last + 1)
            for name in self.batches.names(position.epoch, batch)
        ]
        saved = checkpoint_files(self.model_dir / "checkpoints")
        checkpoint = (
            f"The last good checkpoint is {saved[-1]}" if saved else "There is no checkpoint"
        )
        return (
            f"at step {position.step + last + 1} (epoch {position.epoch + 1}). "
            f"Its images: {', '.join(names)}. {checkpoint}. "
            "Look at the images, lower learning_rate, or set warmup_steps or global_clipnorm."
        )

    @contextlib.contextmanager
    def _named_errors(self):
        """Raise what stopped the reading of an image, and not TensorFlow's account of it."""
        try:
            yield
        except Exception as error:
            for batches in (self.batches, self.val_batches):
                if batches.error is not None:
                    raise batches.error from error
            raise


def _leave_on(flag):
    # Before a validation the state is saved: there is nothing to save within.
    return SaveInEpoch(lambda done: None, None, flag, 0)
