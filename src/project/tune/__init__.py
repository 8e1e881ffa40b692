"""``python -m project.tune``: tries settings, and checks the best on fresh seeds against the untuned ones."""
