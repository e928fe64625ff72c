"""From light on the detector to logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import with_standard_torch
from voltphase.core.errors import ConfigError, DataError, GeometryError, TrainingError
from voltphase.optics.precision import exact_products

Measure = Literal["sum", "mean", "amplitude", "fraction"]

_PAPER_SIZE = 200
_PAPER_BOX = 20
_PAPER_CORNERS = (
    *((40, 40), (40, 90), (40, 140)),
    *((90, 30), (90, 70), (90, 110), (90, 150)),
    *((140, 40), (140, 90), (140, 140)),
)

# Twenty regions in four rows of five, 34 samples apart: about the area of the paper's ten.
_PAIR_ROWS = (39, 73, 107, 141)
_PAIR_COLUMNS = (22, 56, 90, 124, 158)

# Far from what any loss can be trained with, and near enough for gradients in single precision.
_LARGEST_SCALE = 1e12
# Far more samples a side than any machine can propagate to.
_LARGEST_SIZE = 1 << 20

# Signed contrasts average to nothing, so their spread over an image's classes is calibrated instead. Measured on five
# layers of 64 x 64, 8 states, 3 epochs of 10,000 digits of MNIST: 0.1, 0.3, 1 and 3 give 0.891, 0.918, 0.910 and 0.876
# of the test images, with another seed 0.3 and 1 give 0.915 and 0.889.
_CALIBRATED_LOGIT_SPREAD = 0.3


@dataclass(frozen=True)
class Regions:
    """Rectangles on the detector, one per class, or a pair per class for differential detection.

    Args:
        boxes: (row, column, height, width) of each region in samples, row and column of its first corner.
        shape: (rows, columns) of the detector.
        paired: Whether two regions in a row belong to one class: light in the first speaks for it, in the second
            against it.

    Raises:
        GeometryError: if a region is empty or reaches outside the detector, there are fewer than two classes, or a
            pair lacks its second region.
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    shape: tuple[int, int]
    paired: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "paired", checks.flag(self.paired, "paired"))
        shape = checks.size(self.shape, "the shape of the detector", error=GeometryError)
        advice = "give (row, column, height, width) of each"
        boxes = checks.items(self.boxes, "a list of detector regions", error=GeometryError, advice=advice)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "boxes", tuple(_box(box, index) for index, box in enumerate(boxes)))
        if self.paired and (len(self.boxes) % 2 or len(self.boxes) < 4):
            raise GeometryError(
                f"expected two detector regions for each of at least two classes, but got {len(self.boxes)}: list the "
                "region for and the region against each class in turn"
            )
        if len(self.boxes) < 2:
            raise GeometryError(f"expected at least two detector regions, but got {len(self.boxes)}")
        rows, columns = self.shape
        for index, (row, column, height, width) in enumerate(self.boxes):
            if height < 1 or width < 1:
                raise GeometryError(f"expected detector region {index} to hold samples, but it is {height} x {width}")
            if row < 0 or column < 0 or row + height > rows or column + width > columns:
                raise GeometryError(
                    f"expected detector region {index} inside the {rows} x {columns} detector, but it covers rows "
                    f"{row} to {row + height - 1} and columns {column} to {column + width - 1}: move or shrink it"
                )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def classes(self) -> int:
        """How many classes the regions tell apart."""
        return len(self.boxes) // 2 if self.paired else len(self.boxes)

    def class_of(self, region: int) -> int:
        """The class a region speaks for or, the second of a pair, against."""
        return region // 2 if self.paired else region

    @classmethod
    def paper(cls, size: int = _PAPER_SIZE) -> Regions:
        """The paper's ten 20 x 20 regions in rows of 3, 4, 3 on 200 x 200, scaled to ``size`` x ``size``.

        Raises:
            GeometryError: if ``size`` is too small for ten regions.
        """
        size = checks.whole(size, "a detector's size", most=_LARGEST_SIZE, error=GeometryError)
        if size < _PAPER_SIZE // _PAPER_BOX:
            raise GeometryError(f"expected a detector of at least 10 x 10 for the paper's regions, but got {size}")
        scale = size / _PAPER_SIZE
        box = round(_PAPER_BOX * scale)
        return cls(tuple((round(r * scale), round(c * scale), box, box) for r, c in _PAPER_CORNERS), (size, size))

    @classmethod
    def paper_pairs(cls, size: int = _PAPER_SIZE) -> Regions:
        """Ten pairs of regions, each as large as one of the paper's, in four rows of five on ``size`` x ``size``.

        A pair lies one above the other, its upper region the first of it in every second column. Upside down the
        layout is the same with each first region in the place of a second one: neither sign is nearer to the axis.

        Raises:
            GeometryError: if ``size`` is too small for twenty regions.
        """
        size = checks.whole(size, "a detector's size", most=_LARGEST_SIZE, error=GeometryError)
        if size < _PAPER_SIZE // _PAPER_BOX:
            raise GeometryError(f"expected a detector of at least 10 x 10 for ten pairs of regions, but got {size}")
        box = round(_PAPER_BOX * size / _PAPER_SIZE)
        rows, columns = (
            [round(corner * (size - box) / (_PAPER_SIZE - _PAPER_BOX)) for corner in corners]
            for corners in (_PAIR_ROWS, _PAIR_COLUMNS)
        )
        boxes: list[tuple[int, int, int, int]] = []
        for upper, lower in (rows[:2], rows[2:]):
            for index, column in enumerate(columns):
                pair = (upper, lower) if index % 2 == 0 else (lower, upper)
                boxes += [(row, column, box, box) for row in pair]
        return cls(tuple(boxes), (size, size), paired=True)


class RegionReadout(nn.Module):
    """Logits from the light in each detector region: ``scale`` times a measure of it.

    Measures of region r, with intensity ``I = abs(field)**2``:

    - ``sum``: summed intensity;
    - ``mean``: mean intensity;
    - ``amplitude``: mean of ``abs(field)``;
    - ``fraction``: summed intensity over the intensity summed over the whole detector.

    With paired regions the measure of a class is the contrast of those of its two, ``(m1 - m2) / (m1 + m2)`` from -1
    to 1: differential detection, which gives light a way to speak against a class. It does not depend on the
    brightness, and a common offset cancels.

    Args:
        regions: Where the classes' regions lie.
        measure: One of the above.
        scale: A fixed factor above zero, or ``"calibrated"``: set by the first batch seen in training, and learned
            from there as ``log_scale``. The mean logit becomes ``mean_logit``; with paired regions, where logits are
            signed and their mean near zero, their standard deviation over the classes of an image becomes 0.3.
        mean_logit: What calibration makes of the mean logit. 3 starts training by cross-entropy where the softmax of
            ten classes is neither flat nor saturated; other losses start best elsewhere.

    Source of differential detection: Li, Mengu, Luo, Rivenson, Ozcan, "Class-specific differential detection in
    diffractive optical neural networks improves inference accuracy", Advanced Photonics 1(4), 2019, eq. 1.

    Raises:
        ConfigError: for an unknown measure, a scale or a mean logit that is not above zero, or regions that are none.
    """

    row_masks: Tensor
    column_masks: Tensor
    window_rows: Tensor
    window_columns: Tensor

    @with_standard_torch
    def __init__(
        self,
        regions: Regions,
        measure: Measure = "fraction",
        scale: float | Literal["calibrated"] = "calibrated",
        mean_logit: float = 3.0,
    ) -> None:
        super().__init__()
        checks.instance(regions, Regions, "the regions of a detector", advice="use voltphase.Regions")
        checks.word(measure, "a measure", get_args(Measure))
        self.regions = regions
        self.measure: Measure = measure
        self._mean_logit = checks.number(mean_logit, "a mean logit", above=0, most=_LARGEST_SCALE)
        self.calibrated = not (isinstance(scale, str) and scale == "calibrated")
        log_scale = torch.tensor(math.log(_checked_scale(scale)) if self.calibrated else math.nan)
        if self.calibrated:
            self.register_buffer("log_scale", log_scale)
        else:
            self.log_scale = nn.Parameter(log_scale)
        self.register_load_state_dict_post_hook(_note_calibration)

        rows, columns = regions.shape
        row_masks, column_masks = torch.zeros(rows, len(regions)), torch.zeros(columns, len(regions))
        for index, (row, column, height, width) in enumerate(regions.boxes):
            row_masks[row : row + height, index] = 1
            column_masks[column : column + width, index] = 1
        if self.over_total:
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

    @classmethod
    def paper(
        cls,
        size: int = _PAPER_SIZE,
        measure: Measure = "fraction",
        scale: float | Literal["calibrated"] = "calibrated",
    ) -> RegionReadout:
        """The paper's ten regions on a ``size`` x ``size`` detector."""
        return cls(Regions.paper(size), measure, scale)

    @property
    def scale(self) -> float:
        """What a measure is multiplied by to give a logit; 1 before calibration."""
        return math.exp(float(self.log_scale.detach())) if self.calibrated else 1.0

    def window(self, field: Tensor) -> Tensor:
        """The part of a ``... x rows x columns`` detector field that :meth:`measured` needs.

        Raises:
            ConfigError: if it is no complex tensor.
            GeometryError: if it has another shape than the detector.
        """
        _require_complex(field)
        if tuple(field.shape[-2:]) != self.regions.shape:
            rows, columns = self.regions.shape
            raise GeometryError(
                f"expected a field of {rows} x {columns} samples on the detector, but got "
                f"{' x '.join(map(str, field.shape))}"
            )
        return field.index_select(-2, self.window_rows).index_select(-1, self.window_columns)

    @property
    def of_intensity(self) -> bool:
        """Whether the measure is a function of the intensity summed over the masks, see :meth:`from_sums`."""
        return self.measure != "amplitude"

    @property
    def over_total(self) -> bool:
        """Whether the light on the whole detector is needed; in the contrast of a pair it cancels."""
        return self.measure == "fraction" and not self.regions.paired

    def measured(self, field: Tensor) -> Tensor:
        """The measure of each class, a real ``batch x classes`` tensor, from the :meth:`window` of a field."""
        _require_complex(field)
        light = field.real.square() + field.imag.square() if self.of_intensity else _magnitude(field)
        with exact_products(light.device):
            return self.from_sums(((light @ self.column_masks.to(light.dtype)) * self.row_masks).sum(-2))

    def from_sums(self, sums: Tensor) -> Tensor:
        """The measure, ``batch x classes``, from light summed over each pair of row and column mask.

        Args:
            sums: ``batch x masks``: over the samples of the window, of the intensity (the amplitude for the measure
                ``amplitude``) times ``row_masks`` times ``column_masks``.
        """
        if self.over_total:
            return _share(sums[..., :-1], sums[..., -1:])
        if self.measure in ("mean", "amplitude"):
            sums = sums / (self.row_masks.sum(0) * self.column_masks.sum(0))
        if not self.regions.paired:
            return sums
        first, second = sums[..., 0::2], sums[..., 1::2]
        return _share(first - second, first + second)

    def logits(self, measured: Tensor) -> Tensor:
        """Logits, ``batch x classes``, calibrating the scale first if this is the first batch in training.

        Raises:
            TrainingError: if there is no light to calibrate the scale with.
        """
        if not self.calibrated:
            if not self.training:
                return measured
            # Dark images say nothing about the scale.
            lit = measured.detach()[(measured.detach() != 0).any(-1)]
            found, wanted = lit.mean() if len(lit) else lit.new_zeros(()), self._mean_logit
            if self.regions.paired:
                found, wanted = lit.std(-1).mean() if len(lit) else found, _CALIBRATED_LOGIT_SPREAD
            if not _darkest(measured) < found < math.inf:
                raise TrainingError(
                    "expected light in the detector's regions to calibrate the readout's scale by, but it measures "
                    f"{found:g}: check the amplitudes of the devices, or give readout.scale a number"
                )
            self.log_scale.data.copy_((wanted / found).log())
            self.calibrated = True
        return self.log_scale.exp().to(measured.dtype) * measured

    def forward(self, field: Tensor) -> Tensor:
        """Logits, a ``batch x classes`` tensor, of a complex ``batch x rows x columns`` detector field."""
        return self.logits(self.measured(self.window(field)))

    def extra_repr(self) -> str:
        pairs = ", paired" if self.regions.paired else ""
        return f"regions={len(self.regions)}{pairs}, measure={self.measure!r}, scale={self.scale:g}"


@torch.no_grad()
def all_logits(network: nn.Module, images: Tensor, batch_size: int = 64) -> Tensor:
    """The logits of all ``images``, an ``images x classes`` tensor on the CPU, a batch at a time.

    ``network`` is used in evaluation mode where it is, and each of its parts left in the mode it was in.

    Raises:
        ConfigError: if ``batch_size`` is not a whole number of at least 1.
        DataError: if there are no images.
    """
    images = checks.array(images, "images", error=DataError)
    if images.ndim == 0 or len(images) == 0:
        raise DataError(f"expected at least one image, but got a tensor of shape {tuple(images.shape)}")
    device = next(chain(network.parameters(), network.buffers())).device
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        parts = images.split(checks.whole(batch_size, "a batch size", least=1))
        return torch.cat([network(part.to(device)).cpu() for part in parts])
    finally:
        for module, training in modes:
            module.training = training


def _require_complex(field: object) -> None:
    if not isinstance(field, Tensor) or not field.is_complex():
        given = field.dtype if isinstance(field, Tensor) else checks.shown(field)
        raise ConfigError(
            f"expected the complex field on the detector as a tensor, but got {given}: of an intensity i, such as a "
            "camera's, give i.sqrt().to(torch.complex64), as the phase does not matter here"
        )


def _magnitude(field: Tensor) -> Tensor:
    # Of numbers below the normal ones torch finds a slope that is not a number: they are dark.
    dark = field.detach().abs() < torch.finfo(field.dtype).tiny
    return torch.where(dark, 0, field).abs()


def _darkest(light: Tensor) -> float:
    """Light up to this is none: of less, slopes of up to 1 / eps would overflow. In single precision it is 1e-31."""
    about = torch.finfo(light.dtype)
    return about.tiny / about.eps


def _share(part: Tensor, total: Tensor) -> Tensor:
    """``part / total``, and 0 with a slope of 0 where there is no light in total."""
    # What is not a number stays that. Zeros before the division, as its slope overflows where there is no light, and
    # 0 times that is not 0.
    lit = ~(total <= _darkest(total))
    return torch.where(lit, part, 0) / torch.where(lit, total, 1)


def _checked_scale(scale: object) -> float:
    if isinstance(scale, str):
        raise ConfigError(f"expected a readout scale above zero or 'calibrated', but got {scale!r}")
    what = "a readout scale above zero or 'calibrated'"
    return checks.number(scale, what, least=1 / _LARGEST_SCALE, most=_LARGEST_SCALE)


def _box(box: object, index: int) -> tuple[int, int, int, int]:
    what = f"detector region {index} as (row, column, height, width)"
    numbers = checks.items(box, what, error=GeometryError)
    if len(numbers) != 4:
        raise GeometryError(f"expected {what}, but got {checks.shown(box)}")
    what = f"the numbers of detector region {index}"
    row, column, height, width = (checks.whole(n, what, error=GeometryError) for n in numbers)
    return row, column, height, width


def _note_calibration(module: nn.Module, _: object) -> None:
    if isinstance(module, RegionReadout):
        module.calibrated = bool(torch.isfinite(module.log_scale))
