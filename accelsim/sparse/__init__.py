"""Sparse tensors: where they are not zero, what that takes to store, and what is done with it, counted exactly."""
