"""What runs a stack of planes, kernels and modulations."""
