"""How a network is run: chosen from the machine, overridden by settings, and the same answers whatever was chosen."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.tsukiji.vision.packages import trained_looking, write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.errors import Invalid
from tsukiji.kernel.settings import InferenceSettings
from tsukiji.vision import execution_plan
from tsukiji.vision.engines.selection import choose
from tsukiji.vision.execution_plan import Plan, exact, fastest
from tsukiji.vision.feature_cache import rounded
from tsukiji.vision.fuse_batch_norm import fold
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess

IMAGES = [noise(40 + 9 * seed, 90 - 5 * seed, seed) for seed in range(7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("packages") / "model", trained_looking())


@pytest.fixture(scope="module")
def expected(folder):
    return Predictor.load(folder, "cpu").predict(IMAGES)


@pytest.fixture
def machine(monkeypatch):
    """Simulate this many cores with these CPU flags."""

    def pretend(cores, **abilities):
        monkeypatch.setattr(execution_plan, "usable_cores", lambda: cores)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)

    return pretend


def test_a_processor_that_multiplies_bfloat16_computes_in_it_a_stream_for_each_core(machine, tmp_path):
    machine(6, amx_bf16=True)
    found = choose(InferenceSettings(device="cpu"), tmp_path)
    assert (found.device, found.precision, found.streams, found.threads) == ("cpu", "bfloat16", 6, 1)
    assert found.folded
    assert found.channels_last
    assert found.rounded
    assert not found.compiled


def test_small_images_are_passed_more_at_a_time_and_large_ones_fewer(machine):
    machine(2)
    cpu = torch.device("cpu")
    sizes = {side: fastest(cpu, "torch", "float32", side).batch_size for side in (48, 96, 224, 448, 2000)}
    assert sizes == {48: 64, 96: 44, 224: 8, 448: 2, 2000: 1}
    assert fastest(cpu, "torch", "float32", cores=1).streams == 1


def test_one_that_does_not_stays_with_float32(machine, tmp_path):
    machine(2, avx512_f=True)
    assert choose(InferenceSettings(device="cpu"), tmp_path).precision == "float32"


def test_each_choice_can_be_overridden(machine, tmp_path):
    machine(8, amx_bf16=True)
    wishes = InferenceSettings(
        device="cpu",
        precision="float32",
        memory_format="contiguous",
        fold=False,
        compile=True,
        batch_size=5,
        threads=4,
        features_mb=0,
    )
    assert choose(wishes, tmp_path) == Plan(
        "cpu", "float32", channels_last=False, folded=False, compiled=True, batch_size=5, streams=2, threads=4
    )
    assert choose(wishes.model_copy(update={"streams": 3}), tmp_path).streams == 3
    with pytest.raises(Invalid, match="not available"):
        choose(InferenceSettings(device="cuda:99"), tmp_path)


def test_a_stream_has_its_own_number_of_threads():
    before = torch.get_num_threads()
    Plan(threads=1).begin_stream()
    assert torch.get_num_threads() == 1
    execution_plan.take_all_cores()
    assert torch.get_num_threads() == execution_plan.usable_cores()
    torch.set_num_threads(before)


def test_threads_that_begin_together_keep_their_numbers():
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(execution_plan.set_threads, 3).result()
        other.submit(Plan(threads=1).begin_stream).result()
        assert one.submit(torch.get_num_threads).result() == 3
        assert other.submit(torch.get_num_threads).result() == 1
    torch.set_num_threads(before)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "efficientnet_lite0"])
def test_folding_leaves_no_normalisation_in_the_body_and_the_function_as_it_was(backbone):
    model = trained_looking(backbone)
    images = torch.from_numpy(Preprocess(64).to_array(IMAGES[:3]))
    with torch.inference_mode():
        before = model.embed(images)
        fold(model)
        after = model.embed(images)
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms == []
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"channels_last": False}, 1e-5),
        ({"folded": True}, 1e-4),
        ({"rounded": True}, 2e-3),
        ({"precision": "bfloat16", "folded": True}, 0.03),
    ],
)
def test_answers_hardly_depend_on_the_plan(folder, expected, changes, tolerance):
    predictor = Predictor.planned(folder, Plan("cpu", **changes))
    assert np.allclose(predictor.predict(IMAGES), expected, atol=tolerance)


def test_what_is_kept_answers_as_what_was_computed(folder):
    predictor = Predictor.planned(folder, Plan("cpu", rounded=True))
    embeddings = predictor.embed(IMAGES)
    assert np.array_equal(embeddings, rounded(embeddings))
    assert np.array_equal(predictor.conclude(embeddings).probabilities, predictor.predict(IMAGES))


def test_models_of_one_body_share_a_space_and_precisions_do_not(folder, tmp_path):
    other = trained_looking()
    with torch.no_grad():
        other.head[8].weight.mul_(2)
    sibling = write_package(tmp_path / "sibling", other)
    spaces = {Predictor.load(place, "cpu").space for place in (folder, sibling)}
    assert len(spaces) == 1
    assert Predictor.planned(folder, Plan("cpu", folded=True)).space in spaces
    assert Predictor.planned(folder, Plan("cpu", precision="bfloat16")).space not in spaces
    with torch.no_grad():
        other.layer1[0].conv1.weight.mul_(2)
    assert Predictor.load(write_package(tmp_path / "stranger", other), "cpu").space not in spaces


def test_the_input_is_to_the_bit_what_training_sees(folder):
    predictor = Predictor.load(folder, "cpu")
    inputs = predictor.normalise(predictor.preprocess.to_pixels(IMAGES))
    assert np.array_equal(inputs.numpy(), predictor.preprocess.to_array(IMAGES))
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_memory_is_that_of_the_weights(folder):
    whole = Predictor.load(folder, "cpu").bytes
    assert whole == pytest.approx((folder / "model.safetensors").stat().st_size, rel=0.01)
    assert Predictor.planned(folder, Plan("cpu", precision="bfloat16")).bytes < 0.6 * whole


def test_the_exact_plan_is_what_a_package_is_tested_by():
    assert exact("cpu", 5) == Plan("cpu", batch_size=5)
