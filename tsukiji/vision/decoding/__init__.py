"""Bytes to pictures, within limits."""
