"""Faults: where bits are, what an upset of one changes, and what follows for a whole design."""
