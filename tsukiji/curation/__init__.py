"""Quality of data sets: splits, near-duplicates, snapshots, issues. Knows no rows."""
