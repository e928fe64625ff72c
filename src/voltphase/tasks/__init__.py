"""What is asked of the light: readout, loss and metrics."""
