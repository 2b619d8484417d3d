"""The synchronous client, derived from the asynchronous one by `python -m devtools.sync_client`."""
