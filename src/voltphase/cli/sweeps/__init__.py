"""``voltphase sweep`` and ``reproduce``: many runs, shared by any number of processes."""
