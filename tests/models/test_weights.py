import json
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from samepoint.errors import ModelError, RunError
from samepoint.models import DescriptorNetwork, load_network, network_config, save_network

CONFIG = network_config("lcnet_035", width=8, dim=4)


@pytest.fixture
def run(tmp_path) -> Path:
    save_network(tmp_path / "run", DescriptorNetwork(CONFIG), {"method": "don"})
    return tmp_path / "run"


def test_saved_and_loaded_networks_agree(tmp_path, generator):
    net = DescriptorNetwork(CONFIG)
    image = torch.rand(2, 3, 64, 64, generator=generator)
    net(image)  # moves the running statistics
    save_network(tmp_path, net, {"method": "don"})
    loaded, config = load_network(tmp_path)
    assert config["format"] == "samepoint-run"
    assert config["method"] == "don"
    assert not loaded.training
    loaded.half_precision = False  # set where the processor is faster in it
    with torch.no_grad():
        assert torch.equal(loaded(image).values, net.eval()(image).values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_loaded_network_runs_in_half_precision_where_that_is_faster(run, generator, monkeypatch):
    image = torch.rand(1, 3, 64, 64, generator=generator)
    found = []
    for faster in (False, True):
        monkeypatch.setattr("samepoint.models.weights.bfloat16_pays", lambda _, faster=faster: faster)
        loaded, _ = load_network(run)
        assert loaded.half_precision is faster
        with torch.no_grad():
            found.append(loaded(image).values)
        loaded.train()
        assert loaded.features(image).dtype == torch.float32  # training has a precision of its own
    exact, half = found
    assert half.dtype == torch.float32
    assert not torch.equal(exact, half)
    assert (exact * half).sum(1).min() > 0.98


def edit(run, **changes):
    path = run / "config.json"
    config = json.loads(path.read_text())
    config.update(changes)
    path.write_text(json.dumps(config))


def wrong_shape(run):
    config = json.loads((run / "config.json").read_text())
    edit(run, network={**config["network"], "dim": 5})


FAULTS = {
    "no such run": lambda run: [path.unlink() for path in run.iterdir()] and run.rmdir(),
    "not a run": lambda run: (run / "config.json").unlink(),
    "half-written": lambda run: (run / "model.safetensors").unlink(),
    "version 2": lambda run: edit(run, version=2),
    "not the configuration": lambda run: edit(run, format="other"),
    "not valid JSON": lambda run: (run / "config.json").write_text("{"),
    "do not fit": wrong_shape,
    "not a readable weights": lambda run: (run / "model.safetensors").write_bytes(b"0123456789abcdef"),
    "unknown": lambda run: edit(run, network={"version": 1, "backbone": "lcnet_035", "colour": 2}),
}


@pytest.mark.parametrize("message", FAULTS)
def test_faulty_runs_are_refused_in_one_line(run, message):
    FAULTS[message](run)
    with pytest.raises(RunError, match=message) as caught:
        load_network(run)
    assert "\n" not in str(caught.value)
    assert run.name in str(caught.value)


def test_a_failed_save_leaves_the_old_run(run):
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_network(run, DescriptorNetwork(CONFIG), {"bad": object()})
    assert (run / "model.safetensors").read_bytes() == before
    load_network(run)


@pytest.mark.parametrize("name", ["lcnet_035", "convnext_atto", "resnet10t", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_init_from_a_weights_file_of_timm(tmp_path, name, form):
    source = timm.create_model(name)  # the classifier, as published
    path = tmp_path / f"weights.{form}"
    if form == "safetensors":
        safetensors.torch.save_file(source.state_dict(), path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, path)
    head = "linear" if name.startswith("vit") else "pyramid"
    net = DescriptorNetwork(network_config(name, head=head, width=8), init=path)
    assert set(map(sums, net.backbone.net.parameters())) <= set(map(sums, source.parameters()))


def sums(tensor):
    return (tuple(tensor.shape), float(tensor.detach().contiguous().double().sum()))


def test_init_from_a_run_takes_the_whole_network(run):
    loaded, _ = load_network(run)
    net = DescriptorNetwork(CONFIG, init=run)
    torch.testing.assert_close(dict(net.named_parameters()), dict(loaded.named_parameters()))
    wider = DescriptorNetwork(network_config("lcnet_035", width=8, dim=6), init=str(run))
    torch.testing.assert_close(wider.backbone.state_dict(), loaded.backbone.state_dict())


def test_init_refuses_what_does_not_fit(tmp_path, run):
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file(timm.create_model("resnet10t").state_dict(), other)
    with pytest.raises(ModelError, match=r"other.safetensors.*same backbone"):
        DescriptorNetwork(CONFIG, init=other)
    with pytest.raises(ModelError, match="run folder"):
        DescriptorNetwork(CONFIG, init=tmp_path / "absent.pth")
    with pytest.raises(ModelError, match=r"model.safetensors"):
        DescriptorNetwork(CONFIG, init=tmp_path)
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"broken.pth"):
        DescriptorNetwork(CONFIG, init=tmp_path / "broken.pth")


def test_pickled_objects_are_not_loaded(tmp_path):
    torch.save({"run": Path("x"), "net": torch.nn.Linear(1, 1)}, tmp_path / "pickle.pth")
    with pytest.raises(ModelError, match=r"pickle.pth.*state_dict"):
        DescriptorNetwork(CONFIG, init=tmp_path / "pickle.pth")


def test_pretrained_goes_through_timm(monkeypatch):
    source = timm.create_model("lcnet_035")
    asked = []

    def create(name, pretrained=False):
        asked.append((name, pretrained))
        return source

    monkeypatch.setattr("samepoint.models.pretrained.timm.create_model", _only_pretrained(create))
    net = DescriptorNetwork(CONFIG, init="pretrained")
    assert asked == [("lcnet_035", True)]
    assert torch.equal(net.backbone.net.conv_stem.weight, source.conv_stem.weight)


def test_pretrained_without_network_says_how_to_give_a_file(monkeypatch):
    def create(name, pretrained=False):
        raise OSError("cannot reach the hub\nat all")

    monkeypatch.setattr("samepoint.models.pretrained.timm.create_model", _only_pretrained(create))
    with pytest.raises(ModelError, match="give the file as init") as caught:
        DescriptorNetwork(CONFIG, init="pretrained")
    assert "\n" not in str(caught.value)


def _only_pretrained(create):
    original = timm.create_model

    def choose(name, **options):
        return create(name, pretrained=True) if options.get("pretrained") else original(name, **options)

    return choose
