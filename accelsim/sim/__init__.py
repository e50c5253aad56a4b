"""What a machine does: arrays register by register, mappings event by event and with real values, DRAM command by command."""
