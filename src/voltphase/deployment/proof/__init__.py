"""What a system rebuilt from files gives, beside what the model gave: on the design's grid and on finer pixels."""
