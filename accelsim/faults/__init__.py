"""What a flipped bit does: sites, exact propagation, campaigns, and what protection is worth."""
