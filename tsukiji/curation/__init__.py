"""What a data set is worth: splits, near duplicates, snapshots, issues. Knows no rows."""
