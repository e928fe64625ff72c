"""The picture of a device."""

from __future__ import annotations

import io

import numpy as np
import pytest

from voltphase.devices import DevicePanel, DeviceStates, dmd, lcos, tn_slm
from voltphase.reporting.device import device_figure


@pytest.mark.parametrize("states", [dmd(), tn_slm(8), tn_slm()], ids=lambda states: str(len(states)))
def test_every_state_is_drawn_where_it_is(states):
    figure = device_figure(states)
    drawn = {axes.get_ylabel(): np.asarray(axes.collections[-1].get_offsets()) for axes in figure.axes}
    np.testing.assert_allclose(drawn["amplitude"], np.stack([states.control, states.amplitude], axis=1))
    np.testing.assert_allclose(drawn["phase (π rad)"] * [1, np.pi], np.stack([states.control, states.phase], axis=1))
    values = states.values()
    np.testing.assert_allclose(drawn["imaginary part"], np.stack([values.real, values.imag], axis=1))


def test_levels_are_named_all_or_some():
    for count, named in ((8, 8), (256, 9)):
        for axes in device_figure(tn_slm(count)).axes:
            names = [text.get_text() for text in axes.texts]
            assert len(names) == named
            assert {names[0], names[-1]} == {"0", str(count - 1)}


def test_the_unit_is_named_and_the_picture_saved():
    states = DeviceStates(
        control=np.array([0.0, 1.5]), amplitude=np.ones(2), phase=np.array([0.0, 3.0]), name="cell", control_unit="V"
    )
    figure = device_figure(states)
    assert "control (V)" in [axes.get_xlabel() for axes in figure.axes]
    assert figure.get_suptitle() == "cell: 2 states"
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    assert stream.getvalue().startswith(b"\x89PNG")


def test_of_a_panel_the_map_and_each_table_are_drawn():
    regions = np.array([[-1, 0, 1], [1, 1, 0]])
    panel = DevicePanel((tn_slm(8), lcos(8)), regions)
    pixels, *planes = (axes for axes in device_figure(panel).axes if axes.get_xlabel())
    drawn = pixels.images[0].get_array()
    assert isinstance(drawn, np.ma.MaskedArray)
    np.testing.assert_array_equal(drawn.filled(-1), regions)
    for plane, table in zip(planes, panel.tables, strict=True):
        offsets = np.asarray(plane.collections[-1].get_offsets())
        np.testing.assert_allclose(offsets @ [1, 1j], table.values())
