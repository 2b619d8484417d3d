"""Findings about a data set, computed from arrays. Knows no database, no files and no network."""
