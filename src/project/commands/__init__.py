"""What the commands beside ``project.fit`` share: how they read their arguments, and how they write a file."""
