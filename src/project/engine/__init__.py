"""What makes a run fast and safe; a reader of the rest may leave it out."""
