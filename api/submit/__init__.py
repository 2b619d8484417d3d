"""Requests to rows: checks a request and inserts the job. Knows no HTTP."""
