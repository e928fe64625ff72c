"""What a stranger needs to compute the readings: conventions and formulas, as the manifest and README.txt say them.

They are part of the format: a change of a word here is a change of the format's version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from voltphase.optics.sources import SourceLight
from voltphase.tasks.base import CLASS_ANSWER

# The gain multiplies the field of every layer; a reading goes with this power of the field.
_POWER_OF_FIELD: Final = {"sum": 2, "mean": 2, "amplitude": 1, "fraction": 0}

#: How every number of a folder is meant, whatever the system.
CONVENTIONS: Final = {
    "arrays": "Arrays are [row, column] = [y, x], in C order. Row 0 is the top row, column 0 the left column.",
    "coordinates": "Sample j of n along an axis lies at (j - (n - 1) / 2) * pitch + offset, counted from 0, in metres. "
    "pitch_m and offset_m are [y, x].",
    "time": "Fields go as exp(-i omega t), so that light that travels a distance z gains the phase "
    "+2 pi z / wavelength. For exp(+i omega t) take the complex conjugate of everything, states included.",
    "state": "A pixel multiplies the field by amplitude * exp(+i * phase), the phase in radians. The amplitude is that "
    "of the field, not of the intensity.",
    "tables": "control, amplitude and phase of a table of states, and spread where it is known, hold a number for each "
    "level, from level 0 on; control is what the driver is sent, in control_unit. A panel has several tables, and its "
    "map of regions says which of them, counted from 0, each pixel follows.",
    "target": "Of the target slm-image, codes are the grey values that stand for the levels in the picture, from level "
    "0 on; where they equal control they are what to send.",
    "inactive_value": "inactive_value is [real part, imaginary part] of the factor at inactive pixels of a panel, "
    "those whose entry in the map of regions is -1.",
    "input": "A pixel value of an image of bytes (uint8) is divided by 255. The field on the source is the "
    "interpolated value as a real amplitude, of phase 0, unless input.formula says another.",
    "interpolation": "Bilinear with half-pixel centres (align_corners=False), no smoothing before it. Sample j of n, "
    "of an axis of m image pixels, takes s = (j + 1/2) * m / n - 1/2, limited to 0 ... m - 1, and the value "
    "(1 - t) * image[k] + t * image[min(k + 1, m - 1)] with k = floor(s) and t = s - k; so along each axis.",
    "regions": "A region is [row, column, height, width], row and column those of its first sample. Of a differential "
    "readout regions 2 c and 2 c + 1 are those for and against class c.",
    "files": "Arrays are .npy files. Their dtype is written as numpy does: < is little-endian, u an unsigned and i a "
    "signed integer, f a floating-point number, and then the bytes of each.",
    "data_sha256": "SHA-256 of the text ((N, H, W), 'torch.uint8') of the shape of the images and their type, which is "
    "'torch.float32' or 'torch.float64' of images of such numbers (and 'torch.float32' of those that came as uint16, "
    "which are divided by 65535), in ASCII, followed by the N * H * W pixels of the images, little-endian, and the N "
    "labels as 8-byte little-endian integers.",
    "targets": "Of images that have no class, targets are numbers, [image, number]; in data_sha256 they stand for "
    "labels, in the order of their own axes, as 8-byte little-endian floating-point numbers, of complex ones the real "
    "and the imaginary part of each; one whole number for each image stays an integer.",
    "manifest_sha256": "SHA-256 of this object without manifest_sha256, as JSON in ASCII with sorted keys, no spaces "
    'and numbers as Python writes them: json.dumps(content, sort_keys=True, separators=(",", ":")).',
}

#: What a folder of format version 4 says besides, that of a system with more than one beam or with skips.
CONVENTIONS_4: Final = CONVENTIONS | {
    "beams": "Beams do not interfere. Each takes the field on the source through its layers in turn, counted from 1 as "
    "their files are, to its area of the detector. Areas are equal parts of the detector, side by side from left to "
    "right and counted from 0; each is a plane by itself, with all rows and its part of the columns, and with the "
    "pitch and the offset of the detector, about the axis of the layers whose light falls on it. On each area the "
    "intensities of its beams are added, each times the weight of its beam: that is abs(V)^2, and V has no phase.",
    "skips": "Planes on the way of a beam are counted from the source, which is 0, to the detector. A skip has a beam "
    "splitter behind the plane start, behind the states of its pixels, and another in front of the plane end. Both let "
    "sqrt(1 - share) times the field through and reflect i sqrt(share) times it. What the first reflects goes straight "
    "from the plane start to the plane end, distance_m away, by the method and formula of the skip. There the second "
    "splitter adds i sqrt(share) times that to sqrt(1 - share) times what comes through the planes between; the rest "
    "is lost. Several skips at one plane follow in the order in which they are listed.",
}

#: What a folder of that version says besides, where there are several detectors.
DETECTORS: Final = {
    "detectors": "Behind the last layer, of number L on the way of a beam, detectors share the light, in the order in "
    "which they are listed: each gets share of the power, and has a way of its own from the last layer, whose "
    "distances and methods are listed after those up to the last layer, one detector's after the other's. Elements on "
    "these ways are behind L for the first detector, L + 1 for the second, and so on. Light on different detectors "
    "does not interfere. Each detector is a plane by itself, as areas are that beams fall on: its intensity, times "
    "share, is added on the area of the whole detector that it names. Where detectors name the same area, their "
    "pictures add.",
}

_STATE_2: Final = (
    "A pixel multiplies the field by amplitude * exp(+i * phase_rad). The amplitude is that of the field, not of the "
    "intensity."
)
_INPUT_2: Final = CONVENTIONS["input"].replace(", unless input.formula says another", "")
_DATA_2: Final = (
    "SHA-256 of the text ((N, H, W), 'torch.uint8') of the shape of the images, in ASCII, followed by the N * H * W "
    "bytes of the images and the N labels as 8-byte little-endian integers."
)
#: What a folder of format version 2 says in their place.
CONVENTIONS_2: Final = {
    key: {"state": _STATE_2, "input": _INPUT_2, "data_sha256": _DATA_2}.get(key, text)
    for key, text in CONVENTIONS.items()
    if key not in ("tables", "target", "targets")
}

_TERMS = (
    "U is the field on the plane that light leaves, V that on the next one, a distance z away; y, x are coordinates of "
    "samples of the one, Y, X of the other, p_y and p_x the pitches of the plane left, lambda the wavelength. "
)
_SEPARABLE = (
    "V(Y, X) = C * sum over y and x of k_y(Y - y) k_x(X - x) U(y, x), with C = exp(2 pi i z / lambda), and for each "
    "axis, with p its pitch: "
)
_WRAPPED = (
    "V = C * IDFT(H * DFT(U)) without padding, so that light wraps around the edges, with C = exp(2 pi i z / lambda), "
    "frequencies g, f those of the DFT (numpy.fft.fftfreq(n, p)) and H = "
)

#: How light goes from plane to plane, by the name of the method.
FORMULAS: Final = {
    "fresnel": _TERMS
    + _SEPARABLE
    + "k(d) = p * integral from f = -1 / (2 p) to 1 / (2 p) of exp(2 pi i f d - i pi lambda z f^2) df. In closed form, "
    "with s = sqrt(2 lambda z), E(t) = integral from u = 0 to t of exp(i pi u^2 / 2) du and a = d / (lambda z): k(d) = "
    "p / s * exp(i pi d^2 / (lambda z)) * conj(E(s * (1 / (2 p) - a)) - E(s * (-1 / (2 p) - a))).",
    "fresnel-impulse": _TERMS + _SEPARABLE + "k(d) = p * exp(-i pi / 4) / sqrt(lambda z) * exp(i pi d^2 / (lambda z)).",
    "fresnel-pixels": _TERMS
    + _SEPARABLE
    + "k(d) = exp(-i pi / 4) / sqrt(lambda z) * integral from u = d - b / 2 to d + b / 2 of exp(i pi u^2 / (lambda z)) "
    "du, where b = p * sqrt(fill_factor).",
    "fraunhofer": _TERMS
    + "V(Y, X) = C * sum over y and x of m_y(Y, y) m_x(X, x) U(y, x), with C = exp(2 pi i z / lambda), and for each "
    "axis, with p its pitch: m(Y, y) = p * exp(-i pi / 4) / sqrt(lambda z) * exp(i pi Y^2 / (lambda z)) * "
    "exp(-2 pi i Y y / (lambda z)).",
    "focal-plane": _TERMS
    + "z is the focal length. V(Y, X) = C * sum over y and x of m_y(Y, y) m_x(X, x) U(y, x), with C = "
    "exp(2 pi i (z + front) / lambda), and for each axis, with p its pitch: m(Y, y) = p * exp(-i pi / 4) / "
    "sqrt(lambda z) * exp(i pi (1 - front / z) Y^2 / (lambda z)) * exp(-2 pi i Y y / (lambda z)).",
    "angular-spectrum": _TERMS
    + "V(Y, X) = C * sum over y and x of K(Y - y, X - x) U(y, x), with C = exp(2 pi i z / lambda) and K(dy, dx) = "
    "p_y p_x * integral over abs(g) <= 1 / (2 p_y) and abs(f) <= 1 / (2 p_x) of exp(2 pi i (g dy + f dx)) H(g, f) "
    "dg df, where H(g, f) = exp(2 pi i z (sqrt(1 / lambda^2 - g^2 - f^2) - 1 / lambda)), and where the root is "
    "imaginary, exp(-2 pi i z / lambda - 2 pi z sqrt(g^2 + f^2 - 1 / lambda^2)). The integral is exact; "
    "oversampling is by how many more nodes than needed it was computed, or null.",
    "rayleigh-sommerfeld": _TERMS
    + "V(Y, X) = C * p_y p_x * sum over y and x of h(Y - y, X - x) U(y, x), with C = exp(2 pi i z / lambda), "
    "h(dy, dx) = z / (2 pi r^2) * (1 / r - i k) * exp(i k (r - z)), r = sqrt(dy^2 + dx^2 + z^2), k = 2 pi / lambda.",
    "fresnel-wrapped": _TERMS + _WRAPPED + "exp(-i pi lambda z (g^2 + f^2)).",
    "angular-spectrum-wrapped": _TERMS
    + _WRAPPED
    + "exp(2 pi i z (sqrt(1 / lambda^2 - g^2 - f^2) - 1 / lambda)), where the root is imaginary "
    "exp(-2 pi i z / lambda - 2 pi z sqrt(g^2 + f^2 - 1 / lambda^2)).",
}

_ON_A_PLANE: Final = (
    "V = t * U on the samples of its grid, where U is the field that arrives and y, x are coordinates of samples, with "
)
#: Of an element that is none of those below: arrays of what it does are in the folder.
TRANSMISSION: Final = "transmission"
#: What an element between planes does to light, by its kind; lengths in its settings are in metres.
ELEMENT_FORMULAS: Final = {
    "lens": _ON_A_PLANE
    + "t = exp(-i pi ((y - centre[0])^2 + (x - centre[1])^2) / (l * focal_length)), l the design_wavelength, or"
    " lambda where that is null; where diameter is not null, times the part of the sample's pixel, a pitch "
    "high and wide around it, that is inside the circle of that diameter around centre.",
    "aperture": _ON_A_PLANE
    + "t the part of the sample's pixel, a pitch high and wide around it, that is inside the circle of that "
    "diameter around centre, or inside the rectangle of that opening, [height, width], around centre.",
    "relay": "With f1 and f2 the two focal lengths, the one that is given or two, and p_y, p_x the pitches of its "
    "grid, the Fourier plane has twice as many rows and columns as its grid, at pitches lambda f1 / (2 rows "
    "p_y) and lambda f1 / (2 columns p_x), around the axis. Light goes there by the method focal-plane over "
    "f1 with front = f1, is multiplied by the part of the sample's pixel that is inside the circle of the "
    "diameter aperture around the axis, if that is not null, and goes on by focal-plane over f2 with front = "
    "f2 to its image: as many rows and columns as its grid, at pitches p_y f2 / f1 and p_x f2 / f1, with "
    "offsets times -f2 / f1. By focal-plane V(Y, X) = C * sum over y and x of m_y(Y, y) m_x(X, x) U(y, x), "
    "with C = exp(4 pi i f / lambda), and for each axis, with p the pitch of the plane left: m(Y, y) = p * "
    "exp(-i pi / 4) / sqrt(lambda f) * exp(-2 pi i Y y / (lambda f)).",
    TRANSMISSION: _ON_A_PLANE
    + "t = a * exp(i * p), and a and p the amplitude and the phase in radians of that sample in its arrays.",
}

#: The reading of a region, by its measure.
READINGS: Final = {
    "sum": "the sum of abs(V)^2 over the samples of the region",
    "mean": "the mean of abs(V)^2 over the samples of the region",
    "amplitude": "the mean of abs(V) over the samples of the region",
    "fraction": "the sum of abs(V)^2 over the samples of the region, divided by its sum over all samples of the "
    "detector (0 where that is 0)",
}


_OF_PIXEL: Final = (
    "the sum of abs(V)^2 over the samples of the pixel, divided by its sum over all samples of the detector"
)
_PICTURES: Final = {
    "intensity": _OF_PIXEL,
    "amplitude": f"the square root of {_OF_PIXEL}",
    "field": "[real part, imaginary part] of V at the one sample of the pixel, divided by the square root of the sum "
    "of abs(V)^2 over all samples of the detector",
}


_WITH_BACKGROUND: Final = (
    " Here abs(V)^2 is the intensity with the background light in it, that of V itself plus background_light, and "
    "abs(V) its square root."
)


def picture_formula(measure: str, pixels: Sequence[int], *, background: bool) -> str:
    """Say how a picture follows from the field V on the detector, and from background light if there is some."""
    rows, columns = pixels
    return (
        f"Region 0 is divided into {rows} x {columns} pixels, equal blocks of samples. The reading of a pixel is "
        f"{_PICTURES[measure]} (0 where the divisor is 0). The readings are the logits, and the answer."
        f"{_WITH_BACKGROUND if background else ''}"
    )


def source_formula(light: SourceLight, *, masked: bool) -> str | None:
    """Return the formula of the field on the source, or None where it is the interpolated value itself.

    Args:
        light: How the light carries the image.
        masked: Whether there is a mask in front of the source, of which ``light`` need not know.
    """
    amplitude = "(background + (1 - background) * v)" if light.background else "v"
    phasor = "exp(i * phase_range_rad * v)"
    field = {"amplitude": amplitude, "phase": phasor, "both": f"{amplitude} * {phasor}"}[light.encoding]
    if light.waist is not None:
        y, x = ("(y - centre_m[0])", "(x - centre_m[1])") if any(light.centre) else ("y", "x")
        field += f" * exp(-({y}**2 + {x}**2) / waist_m**2)"
    if masked:
        return (
            f"U(y, x) = {field} * a * exp(i * p), with v the interpolated value, and a and p the amplitude and the "
            "phase in radians of that sample in the arrays of input.mask"
        )
    return None if field == "v" else f"U(y, x) = {field}, with v the interpolated value"


def readout_formula(
    measure: str, *, differential: bool | str, answer: str = CLASS_ANSWER, background: bool = False
) -> str:
    """Say how readings, logits and the answer follow from the field V on the detector, and from background light."""
    logit = "The logit of class c is scale * digital_factor * reading of region c."
    if differential == "wavelength":
        logit = (
            "Each region has a reading at the first wavelength, P, and one at the second, N, in turn. The contrast of "
            "class c is (P - N) / (P + N) of region c (0 where both are 0). Its logit is scale * digital_factor * "
            "contrast."
        )
    elif differential:
        logit = (
            "The contrast of class c is (P - N) / (P + N), where P and N are the readings of the regions for and "
            "against it (0 where both are 0). Its logit is scale * digital_factor * contrast."
        )
    beside = _WITH_BACKGROUND if background else ""
    return f"The reading of a region is {READINGS[measure]}, without any gain. {logit} {answer}{beside}"


def reading_factor(gains: list[float], measure: str, *, relative: bool) -> float:
    """Return what the gains of all layers amount to on a measure; a common factor cancels in one that is relative."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float64(math.prod(gains)) ** (0 if relative else _POWER_OF_FIELD[measure]))
