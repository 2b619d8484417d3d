"""Work as rows: jobs and chunks, their leases and turns, and the workers that do them."""
