"""Transformations of cascades into others that compute the same: pure functions that check where they apply and know no tensor by name."""
