"""Pictures to predictions: warm models, chunks of batches, and predictions answered at once."""
