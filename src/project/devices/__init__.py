"""Training on several devices, with the numbers of one."""

from project.devices.ranks import Ranks, join

__all__ = ["Ranks", "join"]
