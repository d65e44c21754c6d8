"""Least squares by rows, Gram matrices, offsets and devices: what models are solved with."""
