"""Readers of jobs' inputs: archives, folders, tables and addresses, as streams of items."""
