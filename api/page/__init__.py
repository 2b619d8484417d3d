"""The page: server-rendered, works without JavaScript, and uses only `/v1` with it."""
