"""Infrastructure of every program: settings, log, queue, storage."""
