"""The one pixel path: bytes to pictures, pictures to arrays, arrays to probabilities. Knows no job, row or request."""
