"""Data sets as rows: images, labels, edits that can be undone, analyses."""
