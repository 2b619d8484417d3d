import numpy as np
import pytest
import torch

from tests.tsukiji.vision.packages import LABELS, trained_looking, write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.errors import GpuOutOfMemory, Invalid, PackageInvalid
from tsukiji.vision.device import choose_device
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess

IMAGES = [noise(40 + 9 * seed, 90 - 5 * seed, seed) for seed in range(7)]


@pytest.fixture(scope="module")
def model():
    return trained_looking()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("packages") / "model", model, temperature=2.0)


@pytest.fixture(scope="module")
def expected(model):
    with torch.inference_mode():
        return (model(torch.from_numpy(Preprocess(64).to_array(IMAGES))) / 2.0).softmax(1).numpy()


def test_probabilities_are_the_networks_at_its_temperature(folder, expected):
    predictor = Predictor.load(folder, "cpu")
    probabilities = predictor.predict(IMAGES)
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (7, 3))
    assert (predictor.label_names, predictor.preprocess) == (LABELS, Preprocess(64))
    assert predictor.device == torch.device("cpu")
    assert np.allclose(probabilities, expected, atol=1e-5)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-6)
    assert probabilities.std(0).max() > 0.01, "the pictures must matter for this test to mean anything"


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_does_not_matter(folder, expected, batch_size):
    assert np.allclose(Predictor.load(folder, "cpu", batch_size).predict(IMAGES), expected, atol=1e-5)


def test_the_same_question_has_the_same_answer(folder):
    first, second = Predictor.load(folder, "cpu"), Predictor.load(folder, "cpu")
    assert np.array_equal(first.predict(IMAGES), second.predict(IMAGES))
    assert np.array_equal(first.predict(IMAGES), first.predict(IMAGES))


def test_no_images_no_rows(folder):
    assert Predictor.load(folder, "cpu").predict([]).shape == (0, 3)


def test_random_numbers_are_left_alone(folder):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    Predictor.load(folder, "cpu").predict(IMAGES[:1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    model = trained_looking()
    with torch.no_grad():
        model.layer3[0].conv1.weight[0, 0, 0, 0] = value
    with pytest.raises(PackageInvalid, match=r"layer3\.0\.conv1\.weight"):
        Predictor.load(write_package(tmp_path / "model", model), "cpu")


def test_weights_of_another_shape_are_refused(tmp_path):
    model = trained_looking()
    model.head[8] = torch.nn.Linear(512, 4, bias=False)
    with pytest.raises(PackageInvalid, match="do not fit resnet18"):
        Predictor.load(write_package(tmp_path / "model", model), "cpu")


def test_an_altered_package_is_never_loaded(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(PackageInvalid, match="modified"):
        Predictor.load(tmp_path, "cpu")


def crowded(predictor, room, monkeypatch):
    """A device on which only `room` images fit at once."""
    look, sizes = predictor.engine.look, []

    def scarce(batch):
        sizes.append(len(batch))
        if len(batch) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return look(batch)

    monkeypatch.setattr(predictor.engine, "look", scarce)
    return sizes


def test_a_full_device_gets_smaller_batches(folder, expected, monkeypatch):
    predictor = Predictor.load(folder, "cpu", 32)
    sizes = crowded(predictor, 2, monkeypatch)
    assert np.allclose(predictor.predict(IMAGES), expected, atol=1e-5)
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert predictor.batch_size == 1


def test_a_device_with_no_room_at_all_says_so(folder, monkeypatch):
    predictor = Predictor.load(folder, "cpu", 32)
    crowded(predictor, 0, monkeypatch)
    with pytest.raises(GpuOutOfMemory, match="one image of 64 pixels"):
        predictor.predict(IMAGES)


def test_auto_takes_the_best_device():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == best


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "CPU please"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(Invalid, match="not available"):
        choose_device(name)
