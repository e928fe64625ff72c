"""From raw readings to the amplitude and phase of a table."""
