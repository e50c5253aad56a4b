"""Transformations of cascades into others that compute the same: pure functions, each checked where it applies, none knowing a tensor by name."""
