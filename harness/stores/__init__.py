"""Workspaces as a whole: several merged into one, checked, and cleaned."""
