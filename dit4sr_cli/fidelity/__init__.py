"""How far a result can be trusted: held against its source, along a dial, and across seeds."""
