"""Mapping a function over items: in threads, or by Ray in processes and on clusters."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import keras

from eseg_keras.machine import usable_cores
from eseg_keras.optional import require

# Smallest number of tasks per worker (if there are enough items), and approximate largest number of
# items per task. Tasks are small, because the task of a dead worker is repeated, but not so small
# that there are more than Ray can keep track of.
_TASKS_PER_WORKER = 16
_MOST_ITEMS = 64
# Ray restarts dead workers without limit. An item is skipped once this many workers have died while
# they processed the item.
_MOST_DEATHS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int, ahead: int
) -> Iterator[Result]:
    """Yield `function(item)` in order; compute up to `ahead` further results in threads."""
    with ThreadPoolExecutor(num_threads) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class WorkerDied(Exception):
    """An item was skipped, because several workers died while they processed it."""


def map_on_workers(
    function: Callable[[Any], Any], items: Sequence[Any], num_workers: int
) -> Iterator[tuple[int, Any]]:
    """Yield (index, `function(item)`) once for each item, in the order of completion.

    `function` is sent to each worker once. If a worker dies, another worker processes its items. If
    three workers died while they processed an item, its result is a `WorkerDied`.
    """
    ray = require("ray", "ray")
    data = require("ray.data", "ray")
    if not ray.is_initialized():
        _connect(ray, num_workers)
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    shared, most_deaths = ray.put(function), _MOST_DEATHS

    # Ray pickles local classes by value, so workers import only what `function` needs.
    class Attempts:
        """Counts, for unfinished items, how many times a worker has started them."""

        def __init__(self):
            self.counts = Counter()

        def begin(self, index):
            self.counts[index] += 1
            return self.counts[index]

        def end(self, index):
            del self.counts[index]

    class Worker:
        def __init__(self):
            self.function = ray.get(shared)

        def __call__(self, row):
            index = row["index"]
            if ray.get(attempts.begin.remote(index)) > most_deaths:
                return {"index": index, "died": True, "result": ""}
            result = self.function(row["item"])
            ray.get(attempts.end.remote(index))
            return {"index": index, "died": False, "result": result}

    attempts = ray.remote(num_cpus=0)(Attempts).remote()
    rows = [{"index": index, "item": item} for index, item in enumerate(items)]
    num_tasks = max(min(len(rows), _TASKS_PER_WORKER * num_workers), len(rows) // _MOST_ITEMS)
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    results = data.from_items(rows, override_num_blocks=num_tasks).map(
        Worker,
        compute=data.ActorPoolStrategy(size=num_workers),
        num_cpus=1,
        num_gpus=1 if has_gpus else 0,
        runtime_env={"env_vars": {"KERAS_BACKEND": keras.backend.backend()}},
    )
    for row in results.iter_rows():
        died = WorkerDied(f"{most_deaths} workers died while they processed it")
        yield row["index"], died if row["died"] else row["result"]


def _connect(ray, num_workers):
    """Connect to the cluster of RAY_ADDRESS or `ray start`, or else start Ray on this machine."""
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    try:
        ray.init("auto", **options)
    except ConnectionError:
        if os.environ.get("RAY_ADDRESS"):
            raise
        ray.init("local", num_cpus=max(num_workers, usable_cores()), **options)
