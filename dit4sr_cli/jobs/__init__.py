"""Planning and running: the only place that joins pictures, text and the pipeline."""
