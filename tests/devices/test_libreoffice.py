"""A table saved again by LibreOffice itself, of the German kind, which writes decimals with a comma."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.devices import DeviceStates, load_table, tn_slm

SOFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(SOFFICE is None, reason="needs LibreOffice: there is no soffice on the path")

# LibreOffice keeps 15 digits of a number: with so many the device is the same to the digest, with Python's 17 to this.
DIGITS = 1e-14
SHORT = DeviceStates(
    np.array([0.5, 80.25, 160, 255]),
    np.array([1, 0.123456789012345, 1e-05, 0.591437396]),
    np.array([0, -1.5, 3.14159265358979, 40]),
    'PLUTO, left; 5" [nir]',
    "µm, 7",
    'bench 3, 007, 2026-11-26, 0.5; "1/2", März, TRUE, =1+1',
    np.array([0.1, np.nan, 0, np.nan]),
)
LONG = replace(tn_slm(16), control=np.linspace(0, 1 / 3, 16), name="tn, slm")

PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><item oor:path="/org.openoffice.Setup/L10N">
<prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>de-DE</value></prop></item></oor:items>
"""
# How a CSV is opened: commas, quotes, UTF-8, from its first line, in English.
OPENED = "CSV:44,34,76,1,,1033"
# Separator, quote, encoding (76: UTF-8, 1: cp1252, 65535: UTF-16), first line, language, whether all text is quoted.
COMMA, SEMICOLON, TAB = "44,34,76,1,,0,false,true", "59,34,1,1,,0,false,true", "9,34,65535,1,,0,true,true"


class Office:
    """Converts the two tables, by way of another format or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "profile" / "user").mkdir(parents=True)
        (folder / "profile" / "user" / "registrymodifications.xcu").write_text(PROFILE)
        self.files = [folder / "short.csv", folder / "long.csv"]
        SHORT.save(self.files[0])
        LONG.save(self.files[1])

    def save(self, name: str, kind: str, files: list[Path], *options: str) -> list[Path]:
        out = self.folder / name
        profile = f"-env:UserInstallation={(self.folder / 'profile').as_uri()}"
        command = [SOFFICE or "", profile, "--headless", *options, "--convert-to", kind, "--outdir", str(out)]
        subprocess.run([*command, *map(str, files)], check=True, capture_output=True, timeout=120)
        return [out / file.with_suffix(f".{kind.partition(':')[0]}").name for file in files]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def same(files: list[Path]) -> None:
    short, long = map(load_table, files)
    assert short.digest == SHORT.digest
    assert short.spread is not None
    np.testing.assert_array_equal(short.spread, SHORT.spread)
    for column in ("control", "amplitude", "phase"):
        np.testing.assert_allclose(getattr(long, column), getattr(LONG, column), rtol=DIGITS, atol=DIGITS)
    for found, expected in ((short, SHORT), (long, LONG)):
        assert (found.name, found.control_unit, found.source) == (expected.name, expected.control_unit, expected.source)


@pytest.mark.filterwarnings("ignore:.*is not UTF-8")
@pytest.mark.parametrize("form", [COMMA, SEMICOLON, TAB])
def test_saved_again_as_csv(office: Office, form: str):
    kind = f"csv:Text - txt - csv (StarCalc):{form}"
    files = office.save(f"csv-{form[:2]}", kind, office.files, f"--infilter={OPENED}")
    assert "0,5" in files[0].read_text({SEMICOLON: "cp1252", TAB: "utf-16"}.get(form, "utf-8"))
    same(files)


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_saved_as_a_spreadsheet_and_back(office: Office, kind: str):
    sheets = office.save(kind, kind, office.files, f"--infilter={OPENED}")
    same(office.save(f"from-{kind}", f"csv:Text - txt - csv (StarCalc):{COMMA}", sheets))
    if kind == "ods":
        return
    pytest.importorskip("openpyxl")
    tables = [sheet.with_name(f"{sheet.stem}-clean.csv") for sheet in sheets]
    for sheet, table in zip(sheets, tables, strict=True):
        assert CliRunner().invoke(app, ["device", "calibrate", str(sheet), "--out", str(table)]).exit_code == 0
    same(tables)
