"""The model that ships with the package; data only."""
