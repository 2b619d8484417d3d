"""Rows to responses: records, tables, archives and pictures. Knows no requests."""
