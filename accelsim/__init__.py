"""accelsim: mapping and simulation of tensor programs on hardware accelerators."""

__version__ = "0.1.0"
