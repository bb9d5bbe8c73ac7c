"""A page for one person at this machine: the same jobs as on the command line, for a browser."""
