"""The time that a command may take."""

import time


class Clock:
    """The time a command may take; `minutes=None` means without end."""

    def __init__(self, minutes=None):
        self.deadline = None if minutes is None else time.monotonic() + 60.0 * minutes

    def over(self):
        return self.deadline is not None and time.monotonic() >= self.deadline

    def minutes_left(self):
        """Return the minutes that are left, at least 0, or None without end."""
        if self.deadline is None:
            return None
        return max(0.0, (self.deadline - time.monotonic()) / 60.0)
