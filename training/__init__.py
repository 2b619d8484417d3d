"""The engine: pictures and a recipe in, a model package and a report out. Knows no database, no queue, no HTTP."""
