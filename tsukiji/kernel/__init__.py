"""What every program needs: settings, log, queue, storage."""
