"""Checks of training-step arguments, shared by `TrainingModel.compile` and experiments."""


def check_step_options(
    *,
    weight_decay: float,
    ema_decay: float | None,
    global_clipnorm: float | None,
    gradient_accumulation_steps: int,
    batch_size: int | None = None,
) -> None:
    """Raise ValueError if an argument of `TrainingModel.compile` is out of range."""
    steps = gradient_accumulation_steps
    if weight_decay < 0:
        raise ValueError(f"weight_decay must not be negative. Received: {weight_decay}")
    if ema_decay is not None and not 0 <= ema_decay < 1:
        raise ValueError(f"ema_decay must be from 0 to below 1. Received: {ema_decay}")
    if global_clipnorm is not None and global_clipnorm <= 0:
        raise ValueError(f"global_clipnorm must be positive or None. Received: {global_clipnorm}")
    if steps != int(steps) or steps < 1:
        raise ValueError(
            f"gradient_accumulation_steps must be a whole number, at least 1. Received: {steps}"
        )
    if batch_size is not None and batch_size % steps:
        raise ValueError(
            "batch_size must be a multiple of gradient_accumulation_steps. Received: "
            f"batch_size={batch_size}, gradient_accumulation_steps={steps}"
        )
