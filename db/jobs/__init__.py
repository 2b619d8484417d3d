"""Jobs and chunks as rows: leases, scheduling, and the workers that run them."""
