"""The catalogue of modelled devices: each against its closed form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from ti_plm import PLM

from voltphase.core.errors import DeviceError
from voltphase.devices import (
    MODELS,
    dmd,
    ferroelectric,
    find,
    lcos,
    load_table,
    model,
    phase_change,
    printed,
    summary,
    tn_slm,
)
from voltphase.devices.models.jones import rotation

EXAMPLE = Path(__file__).parents[2] / "examples" / "devices" / "tn-slm-modelled.csv"


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_a_device(name, tmp_path: Path):
    states = model(name)
    assert states.name == name
    assert states.source.startswith("modelled: ")
    assert states.phase[0] == 0
    assert states.amplitude.max() <= 1 + 1e-12
    assert summary(states).duplicates == 0
    assert (np.diff(states.control) > 0).all()
    states.save(tmp_path / "table.csv")
    assert load_table(tmp_path / "table.csv").digest == states.digest
    assert MODELS[name]().digest == states.digest


def test_the_modulator_is_like_a_measured_one():
    states = tn_slm()
    assert len(states) == 256
    assert states.control.tolist() == list(range(256))
    described = summary(states)
    assert described.phase_stroke > 1.8 * math.pi
    assert described.amplitude_range == pytest.approx((0.41, 1.0), abs=0.005)
    # Coupled and not monotonic: the amplitude dips while the phase moves.
    assert not described.amplitude_monotonic
    assert 40 < states.amplitude.argmin() < 120
    # Uneven: the steepest step of phase is many times the shallowest.
    steps = np.abs(np.diff(states.phase))
    assert steps.max() > 10 * steps.min()
    # No polynomial of low order passes through it, as codesign exists because of.
    x = np.linspace(-1, 1, 256)
    assert np.abs(np.polynomial.Polynomial.fit(x, states.phase, 2)(x) - states.phase).max() > 0.2


def test_the_modulator_is_its_cell_sliced_thin():
    twist, polariser, analyser, wavelength, thickness = 1.4, 0.3, 0.9, 633e-9, 5e-6
    states = tn_slm(
        5,
        twist=twist,
        polariser=polariser,
        analyser=analyser,
        wavelength=wavelength,
        thickness=thickness,
        birefringence=0.15,
        ordinary_index=1.5,
        threshold=1.0,
        saturation=0.8,
        voltage=(0.5, 2.5),
    )
    slices = 4000
    light = []
    for voltage in (0.5, 1.0, 1.5, 2.0, 2.5):
        tilt = math.atan(math.sinh(max(voltage - 1.0, 0) / 0.8))
        index = (math.cos(tilt) ** 2 / 1.65**2 + math.sin(tilt) ** 2 / 1.5**2) ** -0.5
        delays = 2 * np.pi * np.array([index, 1.5]) * thickness / slices / wavelength
        field = np.array([math.cos(polariser), math.sin(polariser)], dtype=complex)
        for angle in (np.arange(slices) + 0.5) * twist / slices:
            field = rotation(angle) @ (np.exp(1j * delays) * (rotation(-angle) @ field))
        light.append(field @ [math.cos(analyser), math.sin(analyser)])
    expected = np.array(light) / light[0]
    values = states.values() / states.values()[0]
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert states.amplitude.max() == 1


def test_the_phase_of_a_coarse_modulator_is_that_of_a_fine_one():
    fine = tn_slm(256, thickness=20e-6)
    for levels in (2, 4, 16, 52):
        every = 255 // (levels - 1)
        np.testing.assert_allclose(tn_slm(levels, thickness=20e-6).phase, fine.phase[::every], atol=1e-9)
    assert np.abs(np.diff(fine.phase)).max() < np.pi


def test_a_falling_voltage_runs_the_same_states_backwards():
    forwards, backwards = tn_slm(64), tn_slm(64, voltage=(3.0, 1.0))
    np.testing.assert_allclose(backwards.amplitude, forwards.amplitude[::-1], atol=1e-12)
    np.testing.assert_allclose(backwards.phase, forwards.phase[::-1] - forwards.phase[-1], atol=1e-9)


def test_liquid_crystal_on_silicon_follows_its_power_law():
    states = lcos(5, stroke=math.pi, gamma=2.0, amplitude=0.9)
    np.testing.assert_allclose(states.phase, math.pi * np.array([0, 1, 4, 9, 16]) / 16)
    assert states.amplitude.tolist() == [0.9] * 5
    np.testing.assert_allclose(lcos(4).values(), [1, 1j, -1, -1j], atol=1e-15)


@pytest.mark.parametrize(("switching", "retardance"), [(math.pi / 4, math.pi), (math.pi / 2, math.pi), (0.6, 2.0)])
def test_the_ferroelectric_cell_is_a_turning_retarder(switching, retardance):
    light = []
    for axis in (-switching / 2, switching / 2):
        retarder = np.diag(np.exp(0.5j * retardance * np.array([1, -1])))
        light.append((rotation(axis) @ retarder @ rotation(-axis))[1, 0])  # in along x, out along y
    states = ferroelectric(switching_angle=switching, retardance=retardance)
    np.testing.assert_allclose(states.values() / states.values()[0], np.array(light) / light[0], atol=1e-12)
    np.testing.assert_allclose(states.amplitude, np.abs(light), atol=1e-12)
    assert states.control.tolist() == [-5, 5]


def test_mirrors_are_on_or_off():
    assert dmd().amplitude.tolist() == [0, 1]
    states = dmd(contrast=1000, reflectance=0.64)
    np.testing.assert_allclose(states.amplitude**2, [0.00064, 0.64])
    assert states.phase.tolist() == [0, 0]


def test_a_lossless_phase_change_film_matched_at_both_sides_delays_by_its_index():
    # Almost matched, for reflection to be small: what is left is of the order of the index contrast squared.
    states = phase_change(
        3, amorphous=2.0, crystalline=2.002, before=2.0, substrate=2.0, thickness=50e-6, wavelength=1e-6
    )
    assert states.phase[-1] == pytest.approx(2 * math.pi * 0.002 * 50, abs=1e-5)
    np.testing.assert_allclose(states.amplitude, 1, atol=1e-6)
    assert states.control.tolist() == [0, 0.5, 1]


def test_phase_change_films_couple_amplitude_and_phase_and_absorb_when_crystalline():
    clear, absorbing = phase_change(16), phase_change(16, crystalline=4.05 + 0.2j)
    assert not summary(clear).amplitude_monotonic
    assert clear.phase[-1] > 2.5
    assert absorbing.amplitude[0] == clear.amplitude[0]
    assert absorbing.amplitude[-1] < 0.9 * clear.amplitude[-1]
    fine = phase_change(241, thickness=9e-6)
    np.testing.assert_allclose(phase_change(4, thickness=9e-6).phase, fine.phase[::80], atol=1e-9)


def test_printed_heights_delay_and_absorb():
    states = printed(4, index=1.6 + 0.01j, wavelength=600e-9, height=3e-6)
    np.testing.assert_allclose(states.control, [0, 1e-6, 2e-6, 3e-6])
    np.testing.assert_allclose(states.phase, 2 * np.pi * np.array([0, 1, 2, 3]))
    np.testing.assert_allclose(states.amplitude, np.exp(-2 * np.pi * 0.01 * np.array([0, 1, 2, 3]) / 0.6))
    np.testing.assert_allclose(printed(8, index=1.5).phase, np.arange(8) * np.pi / 4, atol=1e-12)
    # Thinner than what surrounds it, the phase falls.
    np.testing.assert_allclose(printed(4, index=1.0, surroundings=1.33).phase, -np.arange(4) * np.pi / 2, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tn_slm(1), "number of levels as a whole number from 2 to 65536, but got 1"),
        (lambda: tn_slm(2.5), r"from 2 to 65536, but got 2\.5"),  # pyright: ignore[reportArgumentType]
        (lambda: tn_slm(thickness=0), "expected thickness above zero, but got 0"),
        (lambda: tn_slm(birefringence=-0.1), r"expected birefringence above zero, but got -0\.1"),
        (lambda: tn_slm(wavelength=math.nan), "expected a wavelength in metres, from 1 nm to 10 mm, but got nan"),
        (lambda: tn_slm(twist=math.inf), "expected twist to be a finite number, but got inf"),
        (lambda: tn_slm(voltage=(1, math.inf)), "expected a finite voltage"),
        (
            lambda: tn_slm(twist=0, polariser=0, analyser=math.pi / 2),
            "expected polariser and analyser of tn_slm to let light through the cell, but all levels are dark",
        ),
        (lambda: lcos(stroke=7), "expected a stroke of at most 2 pi rad, but got 7"),
        (lambda: lcos(stroke=0), "expected stroke above zero, but got 0"),
        (lambda: lcos(gamma=0), "expected gamma above zero, but got 0"),
        (lambda: ferroelectric(switching_angle=45), "expected a switching angle below pi .* give both in radians"),
        (lambda: dmd(contrast=1), "expected a contrast above 1, but got 1"),
        (lambda: dmd(reflectance=1.2), r"expected a reflectance above zero and at most 1, but got 1\.2"),
        (lambda: phase_change(crystalline=4 - 0.1j), "expected crystalline as n .* a positive kappa absorbs"),
        (lambda: printed(index=1.0), "expected an index other than the surroundings' 1, but both are the same"),
        (lambda: printed(height=-1e-6), "expected height above zero, but got -1e-06"),
    ],
)
def test_parameters_out_of_range(make, message):
    with pytest.raises(DeviceError, match=message):
        make()


def test_get_takes_names_and_paths(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lcos(4).save("mine.csv")
    lcos(8).save("tn-slm")
    assert find("mine.csv").digest == lcos(4).digest
    assert find(tmp_path / "mine.csv").digest == lcos(4).digest
    assert find("tn-slm").digest == tn_slm().digest
    assert find("./tn-slm").digest == lcos(8).digest


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tn-sml", "expected a modelled device or a file, but 'tn-sml' is neither: did you mean tn-slm?"),
        ("TN_SLM", "but 'TN_SLM' is neither: did you mean tn-slm?"),
        (
            "zzzz",
            "but 'zzzz' is neither: use one of tn-slm, lcos, ferroelectric, dmd, ti-plm, phase-change, printed, or the "
            "path",
        ),
        ("tn-slm.csv", "there is no such file"),
        ("nowhere/tn-slm", "there is no folder nowhere"),
    ],
)
def test_get_says_what_was_meant(tmp_path: Path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceError) as error:
        find(name)
    assert message in str(error.value)


def test_the_example_table_is_what_the_model_gives():
    if not EXAMPLE.is_file():
        pytest.skip(f"needs a checkout of the repository: there is no {EXAMPLE}")
    example, states = load_table(EXAMPLE), tn_slm()
    assert example.source == states.source
    # Sines differ in their last digits between machines.
    np.testing.assert_allclose(example.values(), states.values(), atol=1e-12)


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 7, 16, 40])
def test_what_is_made_to_measure_has_even_steps_for_any_number_of_levels(levels):
    np.testing.assert_allclose(model("printed", levels).phase, 2 * np.pi * np.arange(levels) / levels, rtol=1e-12)
    np.testing.assert_allclose(model("phase-change", levels).control, np.linspace(0, 1, levels), atol=1e-15)


def test_other_models_have_the_states_they_have():
    assert [len(model("lcos", 4)), len(model("tn-slm")), len(model("dmd", 4))] == [256, 256, 2]
    assert len(model("lcos", parameters={"grey_levels": 1024.0})) == 1024
    assert model("lcos").pick(4, "even").control.tolist() == [0, 85, 170, 255]
    np.testing.assert_allclose(model("lcos").pick(4).phase, np.arange(4) * np.pi / 2, atol=0.05)


@pytest.mark.parametrize("name", ["p47", "p67"])
def test_a_phase_light_modulator_has_the_levels_of_its_makers_library(name):
    library, states = PLM.from_db(name), model("ti-plm")
    np.testing.assert_allclose(states.phase, library.displacement_ratios * 15 / 16 * 2 * np.pi, rtol=1e-15)
    np.testing.assert_array_equal(library.quantize(states.phase), states.control)
    assert (states.control_unit, states.amplitude.tolist()) == ("grey level", [1.0] * 16)


def test_the_stroke_of_a_phase_light_modulator_stays_so_that_longer_waves_get_less_phase():
    red, green = (
        model("ti-plm", wavelength=wavelength, parameters={"design_wavelength": 532e-9, "reflectance": 0.81})
        for wavelength in (633e-9, 532e-9)
    )
    np.testing.assert_allclose(red.phase * 633, green.phase * 532, rtol=1e-14)
    np.testing.assert_allclose(red.amplitude, 0.9)
    assert (red.wavelength, green.phase[-1]) == (633e-9, pytest.approx(15 / 8 * np.pi))
    with pytest.raises(DeviceError, match="but got 633: 633 nm is"):
        model("ti-plm", parameters={"design_wavelength": 633})
    with pytest.raises(DeviceError, match="a reflectance above zero and at most 1, but got 2"):
        model("ti-plm", parameters={"reflectance": 2})


def test_a_model_takes_the_wavelength_of_the_light_if_its_parameters_name_no_other():
    for wavelength in (532e-9, 633e-9, 1550e-9):
        relief, modulator = (model(name, 4, wavelength=wavelength) for name in ("printed", "tn-slm"))
        assert relief.wavelength == modulator.wavelength == wavelength
        # Heights make quarter turns at the wavelength, whatever it is.
        np.testing.assert_allclose(relief.phase, np.arange(4) * np.pi / 2, rtol=1e-12)
        np.testing.assert_allclose(relief.control[1], wavelength / 0.52 / 4)
        assert modulator.digest == tn_slm(wavelength=wavelength).digest
    assert model("printed", wavelength=532e-9, parameters={"wavelength": 633e-9}).wavelength == 633e-9
    assert model("lcos", wavelength=633e-9).wavelength is None
    with pytest.raises(DeviceError, match="no 'wavelength'"):
        model("lcos", parameters={"wavelength": 633e-9})


def test_there_is_no_default_material_at_wavelengths_where_it_is_another():
    assert model("phase-change", wavelength=1520e-9).wavelength == 1520e-9
    with pytest.raises(DeviceError, match=r"amorphous as a complex index at 532 nm.* from 1\.4 µm to 1\.7 µm"):
        model("phase-change", wavelength=532e-9)
    with pytest.raises(DeviceError, match="crystalline as a complex index at 532 nm"):
        model("phase-change", wavelength=532e-9, parameters={"amorphous": 4.0})
    film = {"amorphous": [4.0, 0.5], "crystalline": [4.5, 1.0]}
    assert model("phase-change", 4, wavelength=532e-9, parameters=film).amplitude.max() < 0.1
    with pytest.raises(DeviceError, match="index as a complex index at 750 µm"):
        model("printed", wavelength=750e-6)
    assert len(model("printed", 8, wavelength=750e-6, parameters={"index": [1.72, 0.03]})) == 8


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("printed", {"indx": 1.5}, "did you mean index"),
        ("dmd", {"levels": 4}, "has no 'levels'"),
        ("printed", {"height": [1e-6, 2e-6]}, "a number as height"),
        ("printed", {"index": [1.5, 0.1, 0.2]}, r"\[n, kappa\]"),
        ("tn-slm", {"voltage": 3.0}, "two numbers as voltage"),
        ("printed", {"wavelength": 633}, "633 nm is 6.33e-07"),
    ],
)
def test_parameters_that_a_model_does_not_have_are_refused(name, parameters, words):
    with pytest.raises(DeviceError, match=words):
        model(name, 4, parameters=parameters)
