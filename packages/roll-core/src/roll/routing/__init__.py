"""Routing: patterns, and which route fits a path."""

from .patterns import PathPart, split_path

__all__ = ["PathPart", "split_path"]
