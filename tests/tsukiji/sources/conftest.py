from tests.tsukiji.storage.conftest import s3_client, s3_endpoint

__all__ = ["s3_client", "s3_endpoint"]
