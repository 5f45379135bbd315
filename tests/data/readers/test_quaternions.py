import cv2
import numpy as np
import pytest

from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.errors import DataError


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.0, -0.8), (2 / 3, -1 / 3, 2 / 3)])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, 2.0, np.pi])
def test_the_rotation_about_an_axis(axis, angle):
    q = [np.cos(angle / 2), *(np.sin(angle / 2) * np.array(axis))]
    truth = cv2.Rodrigues(angle * np.array(axis, dtype=np.float64))[0]
    for sign in (1, -1):
        np.testing.assert_allclose(
            rotation_from_quaternion([sign * v for v in q], "pose 3"), truth, atol=1e-12
        )


def test_convention_scalar_first():
    """A quarter turn about z takes x to y."""
    r = rotation_from_quaternion((np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)), "here")
    np.testing.assert_allclose(r @ (1, 0, 0), (0, 1, 0), atol=1e-12)


def test_rounding_is_taken_out():
    r = rotation_from_quaternion([0.71, 0.0, 0.0, 0.71], "here")
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 0.0, 0.0, 0.0], r"poses\.yaml, pose 7: the quaternion .* has the length 0, not 1"),
        ([1.0, 0.2, 0.0, 0.0], "has the length 1.02"),
        ([float("nan"), 0.0, 0.0, 1.0], "has the length nan"),
        ([1.0, 0.0, 0.0], "expected 4 numbers"),
        (["one", 0, 0, 0], "expected 4 numbers"),
        (None, "expected 4 numbers"),
    ],
)
def test_bad(values, message):
    with pytest.raises(DataError, match=message):
        rotation_from_quaternion(values, "poses.yaml, pose 7")
