"""What an analysis finds in a data set, from numbers alone. Knows no database, no files and no network."""
