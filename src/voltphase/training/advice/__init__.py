"""What is said of a training before it begins: of its devices, its memory and its light."""
