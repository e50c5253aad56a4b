"""Benches of the RTL: `test_rtl.py` builds every module of hw/rtl and runs its bench, `bench_MODULE.py`, inside the simulator."""
