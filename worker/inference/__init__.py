"""Pictures to predictions: loaded models, chunks of batches, and synchronous predictions."""
