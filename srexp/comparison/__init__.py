"""Finished runs beside one another, read from their folders: no TensorFlow, no MLflow."""
