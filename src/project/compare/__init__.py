"""``python -m project.compare``: optimizers side by side, each at a rate of its own, over several seeds."""
