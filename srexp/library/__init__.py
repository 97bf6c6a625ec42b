"""What `import srexp` offers: the commands for Python and notebooks."""
