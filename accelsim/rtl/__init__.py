"""The hardware: RTL of hw/rtl as a compiled library."""
