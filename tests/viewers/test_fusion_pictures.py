import numpy as np

from samepoint.viewers.fusion_pictures import masks_over, number_places


def test_a_number_lies_on_its_object_however_it_is_bent():
    labels = np.full((40, 60), -1)
    labels[5:35, 5:9] = labels[31:35, 5:30] = 0  # an L: its centre is off it
    labels[0:20, 50:] = 2  # at the image's border
    places = number_places(labels)
    assert set(places) == {0, 2}
    for k, (u, v) in places.items():
        assert labels[v, u] == k
    assert abs(places[2][0] - 55) < 3
    assert number_places(np.full((3, 4), -1)) == {}


def test_objects_are_coloured_and_the_rest_is_dimmed():
    image, labels = np.full((4, 4, 3), 200, np.uint8), np.full((4, 4), -1)
    labels[1:3, 1:3] = 1
    shown = masks_over(image, labels)
    assert (shown[labels < 0] == 90).all()
    assert (shown[labels == 1] == shown[1, 1]).all()
    assert len(set(shown[1, 1].tolist())) > 1
