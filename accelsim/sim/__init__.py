"""Simulators of parts of a machine, cycle by cycle."""
