from pathlib import Path

from PIL import Image

from training.digits import SIDE, write_digits


def test_digits_lie_in_class_folders(tmp_path: Path) -> None:
    assert write_digits(tmp_path) == 1797
    assert sorted(path.name for path in tmp_path.iterdir()) == list("0123456789")
    files = list(tmp_path.glob("*/*.png"))
    assert len(files) == 1797
    with Image.open(files[0]) as image:
        assert image.size == (SIDE, SIDE)
        assert len(image.getcolors()) > 10
