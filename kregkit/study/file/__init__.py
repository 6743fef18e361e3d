"""Parses study files, and locates mistakes in them."""
