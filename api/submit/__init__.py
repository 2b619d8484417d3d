"""Requests to rows: what a user asks for is checked and written, work is started. Knows no HTTP."""
