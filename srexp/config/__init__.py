"""From YAML and overrides to checked options. Hydra and OmegaConf appear here and in commands."""

# The commands whose configuration Hydra composes.
COMMANDS = ("train", "evaluate", "reproduce")
