"""The pixel path: bytes to pictures, pictures to arrays, arrays to probabilities. Knows no jobs, rows or requests."""
