"""HTTP itself: what every request and answer shares. Knows no kind of work."""
