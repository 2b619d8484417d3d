import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine make these small networks slow, not fast."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
