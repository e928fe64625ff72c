"""From light on the detector to logits."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import exact_linear, exact_products, with_standard_torch
from voltphase.core.errors import ConfigError, TrainingError
from voltphase.tasks.base import RegionSums, require_complex_field
from voltphase.tasks.regions import Regions

Measure = Literal["sum", "mean", "amplitude", "fraction"]

# Far from what any loss can be trained with, and near enough for gradients in single precision.
_LARGEST_SCALE = 1e12

# Signed contrasts average to nothing, so their spread over an image's classes is calibrated instead. Measured on five
# layers of 64 x 64, 8 states, 3 epochs of 10,000 digits of MNIST: 0.1, 0.3, 1 and 3 give 0.891, 0.918, 0.910 and 0.876
# of the test images, with another seed 0.3 and 1 give 0.915 and 0.889.
_CALIBRATED_LOGIT_SPREAD = 0.3


class RegionReadout(RegionSums):
    """Logits from the light in each detector region: ``scale`` times a measure of it.

    Measures of region r, with intensity ``I = abs(field)**2``:

    - ``sum``: summed intensity;
    - ``mean``: mean intensity;
    - ``amplitude``: mean of ``abs(field)``;
    - ``fraction``: summed intensity over the intensity summed over the whole detector.

    With paired regions the measure of a class is the contrast of those of its two, ``(m1 - m2) / (m1 + m2)`` from -1
    to 1: differential detection, which gives light a way to speak against a class. It does not depend on the
    brightness, and a common offset cancels. With two channels, those of two wavelengths that the detector tells apart,
    it is the contrast of a region's two, the first wavelength for its class and the second against it.

    Args:
        regions: Regions of the classes.
        measure: Measure of the light in a region, one of the above.
        scale: A fixed factor above zero, or ``"calibrated"``: set by the first batch seen in training, and learned
            from there as ``log_scale``. The mean logit becomes ``mean_logit``; with paired regions, where logits are
            signed and their mean near zero, their standard deviation over the classes of an image becomes 0.3.
        mean_logit: Mean logit after calibration. 3 starts training by cross-entropy where the softmax of ten classes
            is neither flat nor saturated; other losses start best elsewhere.
        by_wavelength: Whether a class is read by the contrast of its region at two wavelengths.

    Source of differential detection: Li, Mengu, Luo, Rivenson, Ozcan, "Class-specific differential detection in
    diffractive optical neural networks improves inference accuracy", Advanced Photonics 1(4), 2019, eq. 1.

    Raises:
        ConfigError: for an unknown measure, a scale or a mean logit that is not above zero, or regions that are none.

    Examples:
        >>> readout = RegionReadout(Regions.paper(10), "sum", 1.0)
        >>> readout(torch.ones(1, 10, 10, dtype=torch.complex64)).tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """

    @with_standard_torch
    def __init__(
        self,
        regions: Regions,
        measure: Measure = "fraction",
        scale: float | Literal["calibrated"] = "calibrated",
        mean_logit: float = 3.0,
        *,
        by_wavelength: bool = False,
    ) -> None:
        super().__init__()
        checks.instance(regions, Regions, "the regions of a detector", advice="use voltphase.Regions")
        checks.word(measure, "a measure", get_args(Measure))
        self.measure: Measure = measure
        self.channels = 2 if checks.flag(by_wavelength, "by_wavelength") else 1
        if by_wavelength and regions.paired:
            raise ConfigError("expected one region a class for contrasts of two wavelengths, but got pairs")
        self._mean_logit = checks.number(mean_logit, "a mean logit", above=0, most=_LARGEST_SCALE)
        factor = checked_scale(scale)
        self.calibrated = factor is not None
        log_scale = torch.tensor(math.nan if factor is None else math.log(factor))
        if self.calibrated:
            self.register_buffer("log_scale", log_scale)
        else:
            self.log_scale = nn.Parameter(log_scale)
        self.register_load_state_dict_post_hook(_note_calibration)
        self.lay(regions)

    @with_standard_torch
    def lay(self, regions: Regions) -> None:
        """Have the readout read other regions, perhaps on another detector; as many, and paired alike."""
        self.regions, self.shape = regions, regions.shape
        row_masks, column_masks = (torch.zeros(side, len(regions)) for side in regions.shape)
        for index, (row, column, height, width) in enumerate(regions.boxes):
            row_masks[row : row + height, index] = 1
            column_masks[column : column + width, index] = 1
        if self.needs_total:
            # The whole detector as one more region, for the total.
            row_masks, column_masks = (
                torch.cat((mask, torch.ones(len(mask), 1)), 1) for mask in (row_masks, column_masks)
            )
        # What lies outside the rows and columns of every region is not needed.
        window_rows, window_columns = (mask.any(1).nonzero().squeeze(1) for mask in (row_masks, column_masks))
        for name, buffer in {
            "row_masks": row_masks[window_rows],
            "column_masks": column_masks[window_columns],
            "window_rows": window_rows,
            "window_columns": window_columns,
        }.items():
            self.register_buffer(name, buffer, persistent=False)

    @property
    def scale(self) -> float:
        """The factor that makes a logit of a measure; 1 before calibration."""
        return math.exp(float(self.log_scale.detach())) if self.calibrated else 1.0

    @property
    def uses_intensity(self) -> bool:
        return self.measure != "amplitude"

    @property
    def needs_total(self) -> bool:
        """Whether the light on the whole detector is needed, as one more sum; in the contrast of a pair it cancels."""
        return self.measure == "fraction" and not self.contrasts

    @property
    def contrasts(self) -> bool:
        """Whether what is measured of a class is a contrast, of two regions or of two wavelengths."""
        return self.regions.paired or self.channels > 1

    def counted(self) -> Tensor:
        rows, columns = (mask[:, : len(self.regions)] for mask in (self.row_masks, self.column_masks))
        with exact_products(rows.device):
            return (rows @ columns.T != 0).to(rows.dtype)

    def read(self, window: Tensor) -> Tensor:
        """Return the measure of each class, a real ``batch x classes`` tensor, of the :meth:`window` of a field."""
        require_complex_field(window)
        light = window.real.square() + window.imag.square() if self.uses_intensity else _magnitude(window)
        masks = self.column_masks.to(light.dtype)
        by_row = exact_linear(lambda light: light @ masks, lambda sums: sums @ masks.mT, light)
        return self.from_region_sums((by_row * self.row_masks).sum(-2))

    def from_region_sums(self, sums: Tensor) -> Tensor:
        if self.needs_total:
            return share(sums[..., :-1], sums[..., -1:])
        if self.measure in ("mean", "amplitude"):
            sums = sums / (self.row_masks.sum(0) * self.column_masks.sum(0))
        if not self.contrasts:
            return sums
        first, second = sums.unbind(-2) if self.channels > 1 else (sums[..., 0::2], sums[..., 1::2])
        return share(first - second, first + second)

    def collected(self, detected: Tensor) -> Tensor:
        """Return the intensity summed over all regions; what lies in several counts in each."""
        light = detected[..., : len(self.regions)].sum(-1)
        return light.sum(-1) if self.channels > 1 else light

    def outputs(self, measured: Tensor) -> Tensor:
        """Return logits, ``batch x classes``, calibrating the scale first if this is the first batch in training.

        Raises:
            TrainingError: if there is no light to calibrate the scale with.
        """
        if not self.calibrated:
            if not self.training:
                return measured
            # Dark images say nothing about the scale.
            lit = measured.detach()[(measured.detach() != 0).any(-1)]
            found, wanted = lit.mean() if len(lit) else lit.new_zeros(()), self._mean_logit
            if self.contrasts:
                found, wanted = lit.std(-1).mean() if len(lit) else found, _CALIBRATED_LOGIT_SPREAD
            if not _darkest(measured) < found < math.inf:
                raise TrainingError(
                    "expected light in the detector's regions to calibrate the readout's scale by, but it measures "
                    f"{found:g}: check the amplitudes of the devices, or give task.scale a number"
                )
            self.log_scale.data.copy_((wanted / found).log())
            self.calibrated = True
        return self.log_scale.exp().to(measured.dtype) * measured

    def figures(self) -> dict[str, float]:
        return {"readout_scale": self.scale}

    def extra_repr(self) -> str:
        pairs = ", paired" if self.regions.paired else ", by wavelength" if self.channels > 1 else ""
        return f"regions={len(self.regions)}{pairs}, measure={self.measure!r}, scale={self.scale:g}"


def require_regions(readout: nn.Module) -> RegionReadout:
    """Return a network's readout, with a ConfigError if it does not read regions."""
    return checks.instance(readout, RegionReadout, "a network that reads regions of its detector")


def _magnitude(field: Tensor) -> Tensor:
    # Of numbers below the normal ones torch finds a slope that is not a number: they are dark.
    dark = field.detach().abs() < torch.finfo(field.dtype).tiny
    return torch.where(dark, 0, field).abs()


def _darkest(light: Tensor) -> float:
    # Light that counts as none, 1e-31 in single precision: below it slopes of 1 / eps would overflow.
    about = torch.finfo(light.dtype)
    return about.tiny / about.eps


def share(part: Tensor, total: Tensor) -> Tensor:
    """Return ``part / total``, and 0 with a slope of 0 where there is no light in total."""
    # What is not a number stays that. Zeros before the division, as its slope overflows where there is no light, and
    # 0 times that is not 0.
    lit = ~(total <= _darkest(total))
    return torch.where(lit, part, 0) / torch.where(lit, total, 1)


def checked_scale(scale: object) -> float | None:
    """Return a scale that is a number, or None for ``"calibrated"``; refuse what is neither."""
    if isinstance(scale, str) and scale == "calibrated":
        return None
    return fixed_scale(scale, "a readout scale", advice="or give 'calibrated', to have it set by the first batch")


def fixed_scale(scale: object, what: str, *, advice: str = "") -> float:
    """Return a scale that is a number within bounds where what it makes is still finite; refuse what is none."""
    return checks.number(scale, what, least=1 / _LARGEST_SCALE, most=_LARGEST_SCALE, advice=advice)


def _note_calibration(module: nn.Module, _: object) -> None:
    if isinstance(module, RegionReadout):
        module.calibrated = bool(torch.isfinite(module.log_scale))
