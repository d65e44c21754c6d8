"""Utilities for users and for people who add a model."""
