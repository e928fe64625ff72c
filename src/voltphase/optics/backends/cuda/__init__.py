"""The back end for CUDA GPUs: matrix products of even and odd parts, and fused kernels between them."""
