"""HTTP, shared by all routes. Knows no kind of job."""
