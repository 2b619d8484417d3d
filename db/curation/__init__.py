"""Data sets: images, labels, revisions that can be undone, analyses."""
