"""Exit statuses, the same for every command."""

DONE, FAILED, INVALID, CANCELLED = 0, 1, 2, 130
