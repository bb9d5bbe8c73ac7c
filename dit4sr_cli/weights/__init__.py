"""A model's name to verified local files to a state dict."""
