"""Rows to answers: records, tables, archives and pictures. Knows no requests."""
