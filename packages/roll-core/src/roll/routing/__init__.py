"""Routing: patterns, and which route fits a path."""
