"""The networks, in pure torch: no files, no network, no printing."""
