"""Faults that are planted in a recording are found, the right fix is named, and with it the recording passes."""

import functools
import json
import shutil

import cv2
import numpy as np
import pytest
import tyro
from tests.data.doctor import scene as plant

from samepoint.cli.doctor import Doctor
from samepoint.data.corrections import Corrections
from samepoint.data.open import open_dataset
from samepoint.errors import DataError
from samepoint.workflows.doctoring import examine

POSES = "--poses world-to-camera"
FAULTS = {
    "inverted poses": (plant.inverted, {"poses": POSES}),
    "OpenGL axes": (plant.opengl, {"poses": "--axes opengl"}),
    "both": (plant.inverted_opengl, {"poses": f"{POSES} --axes opengl"}),
    "mirrored rotations": (plant.mirrored, {"rotations": "flip one axis"}),
    "poses in millimetres": (plant.millimetres, {"depth unit": "--world-scale 0.001"}),
    "poses a frame late": (plant.late, {"sync": "give image n the pose that stands at image n + 1"}),
    "poses two frames early": (
        functools.partial(plant.late, by=-2),
        {"sync": "give image n the pose that stands at image n - 2"},
    ),
    "depth unit x1000": (functools.partial(plant.unit, factor=1000), {"depth unit": "--depth-scale UNIT"}),
    "depth unit x5": (functools.partial(plant.unit, factor=5), {"depth unit": "--depth-scale UNIT"}),
    "depth unit x0.2": (functools.partial(plant.unit, factor=0.2), {"depth unit": "--depth-scale UNIT"}),
    "65535 for unknown": (plant.saturated, {"depth values": "write 0 where depth is unknown"}),
    "length of the ray": (plant.ray_length, {"depth along": "divide depth by the length of the ray"}),
    "colour 8 pixels off": (plant.shifted, {"registration": "register depth to colour again"}),
    "intrinsics of half the size": (plant.resized_camera, {"intrinsics": "multiply fx, fy, cx + 0.5"}),
    "two faults": (
        lambda root: (plant.inverted(root), plant.unit(root, 5)),
        {"poses": POSES, "depth unit": "--depth-scale UNIT"},
    ),
}  # fmt: skip
REAL = ("inverted poses", "OpenGL axes", "mirrored rotations", "poses a frame late", "depth unit x5",
        "65535 for unknown", "colour 8 pixels off", "intrinsics of half the size")  # fmt: skip
RENDERED = ("inverted poses", "OpenGL axes", "mirrored rotations", "poses in millimetres", "depth unit x1000",
            "depth unit x5", "length of the ray", "colour 8 pixels off", "intrinsics of half the size")  # fmt: skip
"""Without the faults that six views with depth everywhere cannot carry: late poses, values for unknown depth."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return plant.write_scene(tmp_path_factory.mktemp("scene") / "boxes")


@pytest.fixture(scope="module")
def real(realdata, tmp_path_factory):
    """Every third frame of the hand-held recording, two thirds of whose depth is unknown."""
    source, root = realdata / "rgbd_amazon_box", tmp_path_factory.mktemp("real") / "box"
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
        for path in sorted((source / name).iterdir())[4:44:3]:
            shutil.copy(path, root / name / path.name)
    shutil.copy(source / "intrinsics.json", root)
    return root


@pytest.fixture(scope="module")
def synthetic(rendered, tmp_path_factory):
    recording = open_dataset(rendered).recordings[-1]
    return plant.frames_of(recording, tmp_path_factory.mktemp("synthetic") / "frames")


def faults(examination):
    return {finding.check: finding.fix for finding in examination.faults}


def corrections_of(examination):
    """The options that the doctor proposes."""
    words = " ".join(fix for fix in faults(examination).values() if fix.startswith("--")).split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    return Corrections(
        axes=options.get("--axes", "opencv"),
        poses=options.get("--poses", "camera-to-world"),
        depth_scale=float(options["--depth-scale"]) if "--depth-scale" in options else None,
        world_scale=float(options.get("--world-scale", 1.0)),
    )


def caught(source, folder, name):
    """Plants a fault in a copy and expects it, and nothing else, with its fix; with options, that they mend it."""
    change, expected = FAULTS[name]
    root = shutil.copytree(source, folder / source.name)
    unit = json.loads((root / "intrinsics.json").read_text())["depth_unit_m"]
    change(root)
    examination = examine(root)
    found = faults(examination)
    assert found.keys() == expected.keys(), examination.findings
    for check, fix in expected.items():
        assert fix.replace("UNIT", f"{unit:.6g}") in found[check]
    corrections = corrections_of(examination)
    if corrections != Corrections():
        assert not examine(root, corrections).faults


@pytest.mark.parametrize("name", FAULTS)
def test_planted(scene, tmp_path, name):
    caught(scene, tmp_path, name)


@pytest.mark.parametrize("name", REAL)
def test_planted_in_a_real_recording(real, tmp_path, name):
    caught(real, tmp_path, name)


@pytest.mark.parametrize("name", RENDERED)
def test_planted_in_a_rendered_recording(synthetic, tmp_path, name):
    caught(synthetic, tmp_path, name)


def test_clean_recordings_pass(scene, synthetic):
    for root in (scene, synthetic):
        examination = examine(root)
        assert not examination.faults
        verdicts = {finding.check: finding.verdict for finding in examination.findings}
        assert [verdicts[check] for check in ("poses", "depth unit", "intrinsics")] == ["right"] * 3, verdicts


def test_clean_real_recording_passes(realdata, tmp_path):
    examination = examine(realdata / "rgbd_amazon_box", out=tmp_path)
    assert not examination.faults
    assert (examination.examined, examination.recordings) == (1, 1)
    verdicts = {finding.check: finding.verdict for finding in examination.findings}
    assert {check for check, verdict in verdicts.items() if verdict == "undecided"} <= {"registration"}
    assert (tmp_path / "rgbd_amazon_box.png").stat().st_size > 50_000


def test_mended_by_hand(scene, tmp_path):
    """Fixes without an option, carried out on the files as the doctor says."""
    root = shutil.copytree(scene, tmp_path / "boxes")
    plant.resized_camera(root, 0.5)
    plant.saturated(root)
    assert faults(examine(root)).keys() == {"intrinsics", "depth values"}
    plant.resized_camera(root, 2.0)
    plant.depths(root, lambda depth: np.where(depth == 65535, 0, depth).astype(np.uint16))
    assert not examine(root).faults


# a native data set


@pytest.fixture
def native(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "data")


def test_native_recordings_pass(native):
    examination = examine(native)
    assert not examination.faults
    assert examination.examined == examination.recordings == 8
    masks = [finding for finding in examination.findings if finding.check == "masks"]
    assert {finding.verdict for finding in masks} == {"right"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: cv2.GaussianBlur(mask, (0, 0), 1.0), "grey levels"),
        (lambda mask: mask[::2, ::2], "have another size than their image, 64x48 for 128x96"),
    ],
)
def test_planted_in_masks(native, change, words):
    folder = native / "train" / "000000"
    for path in sorted((folder / "mask_visib").iterdir()):
        cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    (fault,) = examine(folder).faults
    assert fault.check == "masks"
    assert words in fault.sentence


def test_planted_in_time_stamps(native):
    folder = native / "train" / "000000"
    content = json.loads((folder / "scene_samepoint.json").read_text())
    moments = content["moments"]
    moments[2]["time"], moments[3]["time"] = moments[3]["time"], moments[2]["time"]
    (folder / "scene_samepoint.json").write_text(json.dumps(content))
    (fault,) = examine(folder).faults
    assert fault.check == "time stamps"
    assert "1 of 6 go backwards (by up to 0.1 s), first at 000003.png" in fault.sentence


def test_planted_in_native_rotations(native):
    path = native / "train" / "000001" / "scene_camera.json"
    content = json.loads(path.read_text())
    content["2"]["cam_R_w2c"][:3] = [-value for value in content["2"]["cam_R_w2c"][:3]]
    path.write_text(json.dumps(content))
    (fault,) = examine(native).faults
    assert fault.check == "rotations"
    assert fault.sentence == "1 of 48 poses are mirrored (determinant -1)"
    assert fault.frames == ("train/000001/2",)


# what readers refuse, and what has nothing to examine


def test_refusals_are_findings(scene, tmp_path):
    root = shutil.copytree(scene, tmp_path / "boxes")
    plant.camera(root, width=640, height=480)
    (fault,) = examine(root).faults
    assert fault.check == "intrinsics"
    assert "is for images 640 pixels wide, but 0000.png is 160x120" in fault.sentence


def test_what_cannot_be_read_is_an_error(scene, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        examine(tmp_path / "none")
    root = shutil.copytree(scene, tmp_path / "boxes")
    (root / "pose" / "0003.txt").write_text("nothing")
    with pytest.raises(DataError, match="among its numbers"):
        examine(root)


def test_photos_have_little_to_examine(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    examination = examine(tmp_path, out=tmp_path / "out")
    assert {finding.verdict for finding in examination.findings} == {"not applicable"}
    assert examination.pictures == ()


# the command


def call(capsys, *arguments):
    code = 0
    try:
        tyro.cli(Doctor, args=[str(argument) for argument in arguments]).run()
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().out


def test_command(scene, tmp_path, capsys):
    root = shutil.copytree(scene, tmp_path / "boxes")
    plant.opengl(root)
    code, text = call(capsys, root, "--out", tmp_path / "out")
    assert code == 1
    assert "FAULT poses" in text
    assert "AT FAULT: poses\ntry again, and import, with: --axes opengl" in text
    content = json.loads((tmp_path / "out" / "doctor.json").read_text())
    assert content["consistent"] is False
    assert content["pictures"] == ["boxes.png"]
    assert {"check", "verdict", "sentence", "fix", "frames", "recording"} == content["findings"][0].keys()
    picture = cv2.imread(str(tmp_path / "out" / "boxes.png"))
    assert picture.shape[0] > 900  # rows for the pair, as written, and mended
    code, text = call(capsys, root, "--axes", "opengl")
    assert (code, text.splitlines()[-1]) == (0, "nothing is at fault")
