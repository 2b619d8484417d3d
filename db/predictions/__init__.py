"""Predictions: written once, filtered, compared, and deleted after their retention period."""
