"""Tests of a trained model, again or on another file."""
