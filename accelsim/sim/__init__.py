"""What a machine does in every cycle: arrays register by register."""
