"""The tables and sentences of docs/scale.md, of what was measured and of what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from benchmarks.scale.model import (
    COPY,
    DRAWN_PIXELS,
    GPU_MEMORY,
    NETWORK,
    NODE,
    NVLINK,
    PROTOTYPE_STEP,
    SINGLE,
    STEP_OF_LEVELS,
    System,
)

#: What the page works out: a system, images of an epoch and of a step, and numbers of GPUs.
TARGET: Final = System(1000, 20, levels=256)
IMAGES: Final = 1_000_000
BATCH: Final = 512
GPUS: Final = (1, 8, 64)

Kept = dict[str, Any]


def blocks(kept: Kept) -> dict[str, str]:
    """Return what stands between the marks of docs/scale.md, by their names.

    Args:
        kept: What ``python -m benchmarks.scale`` has measured.
    """
    makers = (checkpointing_table, fitting_table, data_text, arithmetic_text, largest_table)
    return {maker.__name__.partition("_")[0]: maker(kept) for maker in makers}


def checkpointing_table(kept: Kept) -> str:
    """Return memory and time with the fields of all planes kept, and with those of few."""
    lines = [
        "| system | batch | memory, all fields kept | checkpointed | time of a step, all fields kept | checkpointed |",
        "|---|---|---|---|---|---|",
    ]
    rows = kept["checkpointing"]
    for whole, fewer in zip(rows[::2], rows[1::2], strict=True):
        assert (whole["checkpointed"], fewer["checkpointed"]) == (False, True)
        peaks, times = ([row[key] for row in (whole, fewer)] for key in ("peak_bytes", "cpu_seconds_a_step"))
        cells = (
            _system(whole),
            whole["batch"],
            _bytes(peaks[0]),
            f"{_bytes(peaks[1])} ({peaks[1] / peaks[0]:.2f} ×)",
            _seconds(times[0]),
            f"{_seconds(times[1])} ({times[1] / times[0]:.2f} ×)",
        )
        lines.append(_row(cells))
    return "\n".join([_measured(kept), "", *lines]) + "\n"


def fitting_table(kept: Kept) -> str:
    """Return what fits where by the footprint, and how near it was to what was measured."""
    designs = [("a point", {}), ("8 scores", {"scores": True}), ("256 scores", {"levels": 256, "scores": True})]
    lines = [
        "| planes, layers | learned of a pixel | CPU, batch 1 | batch 100 | checkpointed | "
        + " | ".join(f"largest batch on an {gpu}, checkpointed" for gpu in GPU_MEMORY)
        + " |",
        f"|---|---|---|---|---|{'---|' * len(GPU_MEMORY)}",
    ]
    for size, depth in ((200, 5), (500, 10), (1000, 10), (1000, 20), (2000, 10)):
        for learned, more in designs:
            system = System(size, depth, **more)
            whole, fewer = system.footprint(), system.footprint(checkpointed=True)
            cpu = [whole.training(1), whole.training(100), fewer.training(100)]
            gpu = [
                " → ".join(f"{system.largest_batch(memory, 'cuda', checkpointed=some)}" for some in (False, True))
                for memory in GPU_MEMORY.values()
            ]
            lines.append(_row((f"{size} × {size}, {depth}", learned, *map(_bytes, cpu), *gpu)))
    measured = [row for name in ("checkpointing", "fitting", "largest") for row in kept[name]]
    ratios = sorted(estimated_bytes(row) / row["peak_bytes"] for row in measured)
    note = (
        f"The estimate is {ratios[0]:.2f} to {ratios[-1]:.2f} times what was measured at {len(measured)} points of "
        f"{_bytes(min(row['peak_bytes'] for row in measured))} to {_bytes(max(row['peak_bytes'] for row in measured))}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def data_text(kept: Kept) -> str:
    """Return what training from a file costs."""
    data = kept["data"]
    row = data["fetching"][0]
    lines = [
        f"To go through a file of {_bytes(data['file_bytes'])} by batches, the process's own memory grows by "
        f"{_bytes(max(0, row['own_bytes_from_file']))}; read at once, by {_bytes(row['own_bytes_in_memory'])}. "
        "Steps with batches from the file, in turn with steps with the same batches from memory, the file being in the "
        "system's cache:",
        "",
        "| system | batch | time of a step, from memory | from the file |",
        "|---|---|---|---|",
    ]
    for row in data["fetching"]:
        memory, mapped = row["seconds_in_memory"], row["seconds_from_file"]
        lines.append(
            _row((_system(row), row["batch"], _seconds(memory), f"{_seconds(mapped)} ({mapped / memory:.2f} ×)"))
        )
    return "\n".join(lines) + "\n"


def largest_table(kept: Kept) -> str:
    """Return the largest runs beside what the arithmetic, fitted to small ones, says of them."""
    light, level, pixel = _fitted(kept)
    lines = [
        f"Fitted to runs at 400 × 400: light takes {light:.2f} times what the back end estimates, and a step "
        f"{pixel * 1e9:.0f} ns for each pixel and {level * 1e9:.2f} ns for each of its levels besides.",
        "",
        "| system | batch | fields | memory, estimated | measured | time of a step, estimated | measured |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [*kept["largest"], *(row for row in kept["fitting"] if row["size"] > 400)]
    for row in rows:
        system = system_of(row)
        seconds = row["batch"] * light * system.image_seconds("cpu", checkpointed=row["checkpointed"])
        seconds += system.pixels * (pixel + level * row["levels"])
        cells = (
            f"{_system(row)}, {row['levels']} levels",
            row["batch"],
            "checkpointed" if row["checkpointed"] else "all kept",
            _bytes(estimated_bytes(row)),
            f"{_bytes(row['peak_bytes'])} ({_off(row['peak_bytes'], estimated_bytes(row))})",
            _seconds(seconds),
            f"{_seconds(row['cpu_seconds_a_step'])} ({_off(row['cpu_seconds_a_step'], seconds)})",
        )
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def arithmetic_text(kept: Kept) -> str:
    """Return the arithmetic of the target on some GPUs, and what breaks first."""
    point, scores = TARGET, System(TARGET.size, TARGET.depth, levels=TARGET.levels, scores=True)
    light, level, pixel = _fitted(kept)
    core = IMAGES * light * point.image_seconds("cpu") + IMAGES / BATCH * point.pixels * (pixel + level * point.levels)
    reference = System(200, 5).image_seconds("cuda", tf32=True) * 500
    field = 8 * point.size**2
    lines = [
        f"**The system**: {point.size} × {point.size} samples, {point.depth} layers, {point.levels} levels, "
        f"{IMAGES:,} images in batches of {BATCH}: {IMAGES / BATCH:,.0f} steps an epoch. One core of the CPU above "
        f"would take {core / 86400:.0f} days an epoch.",
        "",
        f"**Where the GPU's figures come from.** The back end's own estimate, whose constants were measured on one "
        f"H200 at 200 × 200, says {1e3 * point.image_seconds('cuda', tf32=True):.1f} ms of light an image with TF32, "
        f"{1e3 * point.image_seconds('cuda'):.1f} ms without. At 200 × 200 and five layers it says "
        f"{1e3 * reference:.1f} ms for a batch of 500, of which a prototype took {1e3 * PROTOTYPE_STEP:.2f} ms "
        f"there (measured 2026-11-26). Choosing states is given twice: at the limits of that GPU "
        f"({COPY / 1e12:.1f} TB/s of memory and {SINGLE / 1e12:.1f} TFLOP/s, both measured), which nothing beats, and "
        f"as it was measured before it was one kernel ({1e3 * STEP_OF_LEVELS[8]:.1f} ms a step with 8 levels, "
        f"{1e3 * STEP_OF_LEVELS[256]:.0f} ms with 256, "
        f"for {DRAWN_PIXELS:,} pixels). **Assumed, not measured**: gradients are added up around a ring, at "
        f"{NVLINK / 1e9:.0f} GB/s between the {NODE} GPUs of a node, {NETWORK / 1e9:.0f} GB/s for each GPU between "
        "nodes, and nothing of it is hidden behind other work.",
        "",
        f"| GPUs | images each | fields kept, all or checkpointed | memory of a GPU, a point a pixel | "
        f"{point.levels} scores a pixel | light | choosing states | exchange | an epoch, a point |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    epochs, shares = [], []
    for gpus in GPUS:
        each = BATCH // gpus
        whole, fewer = point.footprint(), point.footprint(checkpointed=True)
        fields = " or ".join(_bytes(8 * one.kept_fields(each, "cuda")) for one in (whole, fewer))
        seconds = each * point.image_seconds("cuda", tf32=True)
        drawn, exchange = point.drawing_seconds(), point.exchange_seconds(gpus)
        epoch = [IMAGES / BATCH * (seconds + one + exchange) for one in drawn]
        epochs.append(epoch)
        shares.append((drawn[1] + exchange) / (seconds + drawn[1] + exchange))
        cells = (
            gpus,
            each,
            fields,
            f"{_bytes(whole.training(each, 'cuda'))} or {_bytes(fewer.training(each, 'cuda'))}",
            _bytes(scores.footprint(checkpointed=True).training(each, "cuda")),
            _seconds(seconds),
            " to ".join(map(_seconds, drawn)),
            _seconds(exchange),
            " to ".join(map(_hours, epoch)),
        )
        lines.append(_row(cells))
    one, last = scores.footprint(checkpointed=True).training(1, "cuda"), GPUS[-1]
    speedup = [epochs[0][n] / epochs[-1][n] for n in range(2)]
    rate = last * point.size**2 / (point.image_seconds("cuda", tf32=True) * BATCH / last + point.drawing_seconds()[0])
    rate *= BATCH / last
    lines += [
        "",
        "What breaks first, in this order:",
        "",
        f"1. **Memory, by a score for each level.** Gumbel-Softmax and its relatives learn {point.levels} numbers a "
        f"pixel: with gradients and Adam's means {_bytes(one)} for a batch of one, where "
        + " and ".join(f"an {gpu} has {_bytes(memory)}" for gpu, memory in GPU_MEMORY.items())
        + f". Each GPU holds all of it, so that {last} of them do not help. A point a pixel (`proximity`, the "
        f"default), {2 * 4 * point.pixels / 1e6:.0f} MB for any number of levels, is the way out, or fewer levels.",
        f"2. **Memory, by the fields.** A field is {_bytes(field)}, and {point.depth + 1} of them an image are "
        f"{_bytes(8 * point.footprint().kept_fields(BATCH, 'cuda'))} for a batch of {BATCH}. "
        f"`training.checkpoint_fields` is for that, and each further GPU divides it.",
        f"3. **Choosing states, by what is done on each GPU.** It does not depend on the batch, and each GPU does all "
        f"of it: on {last} GPUs, with {BATCH // last} images each, it and the exchange are up to "
        f"{100 * shares[-1]:.0f} % of a step, and {last} GPUs are {min(speedup):.0f} to {max(speedup):.0f} times as "
        "fast as one. Larger batches push it away.",
        f"4. **The exchange of gradients** takes {_seconds(point.exchange_seconds(last))} a step between "
        f"{last // NODE} nodes, as only those of the modulations are exchanged, {8 * point.pixels / 1e6:.0f} MB for "
        "any number of levels and any relaxation, beside "
        f"{_seconds(BATCH / last * point.image_seconds('cuda', tf32=True))} of light.",
        f"5. **The data** do not break at 28 × 28 ({_bytes(IMAGES * 28**2)} in all, on each GPU). Images as large as "
        f"the planes are {_bytes(IMAGES * point.size**2)}, and {last} GPUs would read {_bytes(rate)} of them a second.",
    ]
    return "\n".join(lines) + "\n"


def _fitted(kept: Kept) -> tuple[float, float, float]:
    """Return the factor on the estimate of light, and the seconds of a level and of a pixel in a step."""
    rows = [row for row in kept["fitting"] if row["size"] == 400 and row["relaxation"] == "proximity"]
    many = next(row for row in rows if row["levels"] == 256)
    eight = sorted((row for row in rows if row["levels"] == 8), key=lambda row: row["batch"])
    few, base, pixels = eight[0], eight[-1], system_of(many).pixels
    level = (many["cpu_seconds_a_step"] - base["cpu_seconds_a_step"]) / (pixels * (256 - 8))
    slope = (base["cpu_seconds_a_step"] - few["cpu_seconds_a_step"]) / (base["batch"] - few["batch"])
    rest = few["cpu_seconds_a_step"] - few["batch"] * slope
    return slope / system_of(base).image_seconds("cpu"), level, max(0.0, rest / pixels - 8 * level)


def estimated_bytes(row: Kept) -> float:
    """Return what voltphase estimates of the memory of a measured point."""
    return system_of(row).footprint(checkpointed=row["checkpointed"]).training(row["batch"])


def system_of(row: Kept) -> System:
    """Return the system of a measured point."""
    return System(row["size"], row["depth"], levels=row["levels"], scores=row["relaxation"] != "proximity")


def _measured(kept: Kept) -> str:
    return (
        f"Measured on one thread of {kept['processor']} (a shared machine), torch {kept['versions']['torch']}, "
        f"{kept['date']}: memory as the peak of a whole run beyond what Python and libraries take, time as seconds of "
        "the CPU."
    )


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _system(row: Kept) -> str:
    return f"{row['size']} × {row['size']}, {row['depth']} layer{'' if row['depth'] == 1 else 's'}"


def _off(measured: float, estimated: float) -> str:
    return f"{100 * (measured / estimated - 1):+.0f} %"


def _bytes(size: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size / 1e3:.3g} kB"


def _seconds(time: float) -> str:
    if time == 0:
        return "none"
    return f"{time:.3g} s" if time >= 1 else f"{1e3 * time:.3g} ms"


def _hours(time: float) -> str:
    return f"{time / 3600:.2g} h" if time >= 3600 else f"{time / 60:.2g} min"
