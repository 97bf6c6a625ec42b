"""srexp's search for Hydra. `hydra_plugins` is a namespace package: no `__init__.py` above."""
