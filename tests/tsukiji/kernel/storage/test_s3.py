import pytest

from devtools.servers import free_port
from tsukiji.errors import StorageUnavailable
from tsukiji.kernel.storage.s3 import S3Store


def test_the_same_bytes_are_kept_once_under_the_prefix(s3_case, s3_client):
    blob = s3_case.store.put(b"tuna")
    written = s3_client.head_object(Bucket=s3_case.store.bucket, Key=f"some/prefix/{blob.sha256}")["LastModified"]
    s3_case.store.put(b"tuna")
    objects = s3_client.list_objects_v2(Bucket=s3_case.store.bucket)["Contents"]
    assert [(found["Key"], found["LastModified"]) for found in objects] == [(f"some/prefix/{blob.sha256}", written)]


def test_a_large_blob_is_sent_in_parts(s3_case, s3_client):
    blob = s3_case.store.put(bytes(2**20) for _ in range(20))
    tag = s3_client.head_object(Bucket=s3_case.store.bucket, Key=f"some/prefix/{blob.sha256}")["ETag"]
    assert tag.strip('"').endswith("-3")


def test_there_is_no_local_file(s3_case):
    assert s3_case.store.local_path(s3_case.store.put(b"tuna").sha256) is None


def test_a_bucket_that_is_not_there_is_named(s3_client, s3_endpoint):
    store = S3Store("nosuch", endpoint_url=s3_endpoint)
    for verb in (store.check, lambda: store.put(b"tuna"), lambda: store.delete("0" * 64)):
        with pytest.raises(StorageUnavailable):
            verb()


def test_a_server_that_is_not_there_is_named_soon(s3_client):
    store = S3Store("blobs", endpoint_url=f"http://127.0.0.1:{free_port()}")
    for verb in (store.check, lambda: store.put(b"tuna"), lambda: store.read("0" * 64)):
        with pytest.raises(StorageUnavailable, match="cannot be used"):
            verb()


def test_no_credentials_are_named(s3_endpoint, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageUnavailable, match="credentials"):
        S3Store("blobs", endpoint_url=s3_endpoint).check()
