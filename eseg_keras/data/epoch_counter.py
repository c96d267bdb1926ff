"""Which epoch a dataset gives next."""


class EpochCounter:
    """Counts the epochs of one dataset, or goes by what it is told.

    Args:
        epoch: Number of the first epoch.
        is_fixed: Whether this is the only one: the rest of an epoch has no next epoch of the same
            length.

    Attributes:
        epoch: Number of the epoch that comes next, or is being read.
    """

    def __init__(self, epoch: int, is_fixed: bool = False):
        self.epoch = epoch
        self.is_fixed = is_fixed
        self._is_told = False

    def end(self, epoch: int) -> None:
        """Note that the last batch of an epoch was taken."""
        if not self.is_fixed and not self._is_told:
            # Two iterators of one epoch that both run to their end still count as one epoch.
            self.epoch = max(self.epoch, epoch + 1)

    def tell(self, epoch: int) -> None:
        """Say which epoch comes next, and stop counting."""
        if not self.is_fixed:
            self.epoch, self._is_told = epoch, True
