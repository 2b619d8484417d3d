import io
import shutil

import pytest
from PIL import Image

from tests.tsukiji.vision.packages import LABELS, seal, write_package
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.package import Example, Examples
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess


@pytest.fixture(scope="session")
def complete(tmp_path_factory):
    """A package with an example image; not to be spoilt."""
    folder = write_package(tmp_path_factory.mktemp("complete") / "model", temperature=1.5)
    buffer = io.BytesIO()
    Preprocess(64).fit(Image.linear_gradient("L").convert("RGB")).save(buffer, "PNG")
    (row,) = Predictor.load(folder, "cpu").predict([decode(buffer.getvalue())])
    (folder / "example-1.png").write_bytes(buffer.getvalue())
    label = LABELS[int(row.argmax())]
    example = Example(file="example-1.png", true_label="cat", label=label, probabilities=row.tolist())
    package.write_part(folder, package.EXAMPLES, Examples(examples=[example]))
    seal(folder)
    return folder


@pytest.fixture
def folder(complete, tmp_path):
    """A copy of it, to be spoilt."""
    return shutil.copytree(complete, tmp_path / "package")
