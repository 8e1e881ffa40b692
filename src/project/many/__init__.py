"""Many runs at the same time, and differences between them: what comparing and tuning need."""
