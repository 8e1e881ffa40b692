"""A starter for supervised learning on tables with PyTorch Lightning."""
