"""How light gets from one plane to another: physics only, from a geometry to a kernel and its limits."""
