"""The training engine: pictures and a recipe in, a model package and a report out. No database, no queue, no HTTP."""
