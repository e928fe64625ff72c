"""The arithmetic of scale: what training takes of memory and time where systems and data sets are large."""
