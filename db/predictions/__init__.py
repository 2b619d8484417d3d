"""Predictions as rows: written once, filtered, compared, and deleted when their time is over."""
