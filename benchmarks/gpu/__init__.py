"""Where voltphase stands on a GPU, in six minutes: ``make gpu``."""
