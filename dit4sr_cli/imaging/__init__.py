"""Files to arrays and back; no torch."""
