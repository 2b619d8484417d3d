import threading

from tsukiji.vision.thumbnail_cache import Thumbnails


def test_what_was_drawn_is_kept_by_picture_and_side(tmp_path):
    kept = Thumbnails(tmp_path / "cache" / "thumbnails.db", 2**20)
    assert kept.read("a", 192) is None
    kept.write("a", 192, b"small")
    assert Thumbnails(kept.path, 2**20).read("a", 192) == b"small"
    assert kept.read("a", 96) is None
    assert kept.read("b", 192) is None


def test_the_file_stays_within_its_bound_and_keeps_the_newest(tmp_path):
    kept = Thumbnails(tmp_path / "thumbnails.db", 400_000)
    for number in range(200):
        kept.write(str(number), 192, b"x" * 10_000)
    assert kept.path.stat().st_size < 600_000
    assert kept.read("199", 192)
    assert kept.read("0", 192) is None


def test_a_damaged_file_or_one_that_cannot_be_written_costs_only_time(tmp_path):
    kept = Thumbnails(tmp_path / "thumbnails.db", 2**20)
    kept.path.write_bytes(b"no database" * 1000)
    assert kept.read("a", 192) is None
    kept.write("a", 192, b"small")
    kept.write("a", 192, b"small")
    assert kept.read("a", 192) == b"small"
    Thumbnails(kept.path / "below", 2**20).write("a", 192, b"small")
    assert Thumbnails(tmp_path / "none.db", 0).read("a", 192) is None


def test_many_write_at_once(tmp_path):
    kept = Thumbnails(tmp_path / "thumbnails.db", 2**24)
    threads = [threading.Thread(target=kept.write, args=(str(number), 192, b"x" * 1000)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(kept.read(str(number), 192) for number in range(16))
