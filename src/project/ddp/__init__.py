"""Training on several devices, with the numbers of one."""
