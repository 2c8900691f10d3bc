"""Errors, the store, files and locks, YAML with line numbers, hashing and progress."""
