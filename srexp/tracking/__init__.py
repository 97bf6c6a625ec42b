"""The run's own record in its folder, and MLflow as a view of it."""
