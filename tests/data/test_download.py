"""Fetching data sets, from a server on this machine that stands in for the mirrors."""

from __future__ import annotations

import errno
import functools
import gzip
import hashlib
import io
import logging
import pickle
import socket
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from voltphase.core.errors import DataError, OutputError
from voltphase.data import Cifar10, Emnist, FashionMnist, ImageDataset, Kmnist, Mnist
from voltphase.data.mnist import IdxFiles

IMAGES_FILE = "t10k-images-idx3-ubyte.gz"
LABELS_FILE = "t10k-labels-idx1-ubyte.gz"
FILES = {
    # Magic and sizes 2 x 1 x 3, then the six pixels; magic and size 2, then the two labels.
    IMAGES_FILE: gzip.compress(bytes.fromhex("00000803 00000002 00000001 00000003 0102030405ff"), mtime=0),
    LABELS_FILE: gzip.compress(bytes.fromhex("00000801 00000002 0901"), mtime=0),
}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}


@dataclass
class Mirror:
    folder: Path
    address: str
    requests: list[str]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A server of the two files on the loopback address, reached directly whatever proxy is set."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on standard error."""

        def do_GET(self) -> None:
            requests.append(self.path)
            if self.path.startswith("/cut/"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            elif self.path.startswith("/page/"):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>Please log in</html>")
            elif self.path.startswith("/round/"):
                self.send_response(302)
                self.send_header("Location", self.path)
                self.end_headers()
            else:
                super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Mirror(folder, f"http://127.0.0.1:{server.server_port}/", requests)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address on this machine where nobody listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@dataclass(frozen=True)
class Source:
    """A data set of two images from the given mirrors."""

    mirrors: tuple[str, ...]
    md5: dict[str, str]

    def load(self, split: str, root: Path, *, download: bool = True) -> ImageDataset:
        about = {"name": "tiny", "folders": ("Tiny",), "classes": tuple("0123456789")}
        kind = type("Tiny", (IdxFiles,), {**about, "mirrors": self.mirrors, "md5": self.md5})
        return kind(str(root)).load(split, download=download)


def source(*mirrors: str, md5: dict[str, str] = MD5) -> Source:
    return Source(mirrors, md5)


def test_what_is_missing_is_fetched_once(tmp_path: Path, mirror: Mirror) -> None:
    root = tmp_path / "data"
    for _ in range(2):
        dataset = source(mirror.address).load("test", root)
        assert dataset.images.tolist() == [[[1, 2, 3]], [[4, 5, 255]]]
        assert dataset.labels.tolist() == [9, 1]
    assert mirror.requests == [f"/{IMAGES_FILE}", f"/{LABELS_FILE}"]
    raw = root / "Tiny" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == FILES
    assert {path.stat().st_mode & 0o444 for path in raw.iterdir()} == {0o444}, "unreadable for others"


def test_only_the_file_that_is_missing_is_fetched(tmp_path: Path, mirror: Mirror) -> None:
    raw = tmp_path / "Tiny" / "raw"
    raw.mkdir(parents=True)
    (raw / IMAGES_FILE.removesuffix(".gz")).write_bytes(gzip.decompress(FILES[IMAGES_FILE]))
    assert len(source(mirror.address).load("test", tmp_path)) == 2
    assert mirror.requests == [f"/{LABELS_FILE}"]


def test_the_next_mirror_is_tried(tmp_path: Path, mirror: Mirror, unreachable: str) -> None:
    mirrors = (unreachable, f"{mirror.address}gone/", mirror.address)
    assert len(source(*mirrors).load("test", tmp_path)) == 2


def test_nothing_is_fetched_when_told_not_to(tmp_path: Path, mirror: Mirror) -> None:
    with pytest.raises(DataError, match="but it is not there"):
        source(mirror.address).load("test", tmp_path, download=False)
    assert mirror.requests == []


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(tmp_path: Path, mirror: Mirror) -> None:
    (mirror.folder / IMAGES_FILE).write_bytes(FILES[IMAGES_FILE][:-1])
    root = tmp_path / "data"
    with pytest.raises(DataError, match=f"{IMAGES_FILE} .*{mirror.address} gave a file with another checksum"):
        source(mirror.address).load("test", root)
    assert not root.exists()


def test_a_whole_file_is_kept_when_the_next_one_fails(tmp_path: Path, mirror: Mirror) -> None:
    (mirror.folder / LABELS_FILE).unlink()
    with pytest.raises(DataError, match=f"{LABELS_FILE} .*{mirror.address} answered 404"):
        source(mirror.address).load("test", tmp_path)
    raw = tmp_path / "Tiny" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {IMAGES_FILE: FILES[IMAGES_FILE]}


def test_no_network_is_one_sentence_with_the_ways_out(
    tmp_path: Path,
    unreachable: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(DataError) as caught:
        source(unreachable).load("test", tmp_path / "data")
    raw = tmp_path / "data" / "Tiny" / "raw"
    assert str(caught.value) == (
        f"cannot download {IMAGES_FILE} ({unreachable} cannot be reached): put the files of tiny into {raw}, "
        "or name the folder that holds Tiny/raw with --data-dir or VOLTPHASE_DATA"
    )
    assert not (tmp_path / "data").exists()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("cut/", "broke off"),
        ("page/", "gave a file with another checksum"),
        ("round/", "cannot be reached"),
        ("gone/", "answered 404"),
    ],
)
def test_an_answer_that_is_no_whole_file_leaves_nothing(
    tmp_path: Path, mirror: Mirror, place: str, complaint: str
) -> None:
    root = tmp_path / "data"
    with pytest.raises(DataError, match=rf"{IMAGES_FILE} \({mirror.address}{place} {complaint}\): "):
        source(f"{mirror.address}{place}").load("test", root)
    assert not root.exists()
    assert len(source(f"{mirror.address}{place}", mirror.address).load("test", root)) == 2, "the next mirror has it"


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:1", "nonsense:nonsense", "http://me:secret[@host", "socks9://127.0.0.1:1", "http://.x"]
)
def test_a_proxy_of_the_environment_that_does_not_work_is_named(
    tmp_path: Path, mirror: Mirror, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(DataError, match=r"cannot be reached through the proxy that HTTP_PROXY, .*--data-dir") as caught:
        source(mirror.address).load("test", tmp_path / "data")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "data").exists()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert len(source(mirror.address).load("test", tmp_path / "data")) == 2


def test_certificates_that_are_not_there_are_one_sentence(
    tmp_path: Path, unreachable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(DataError, match=r"cannot be asked \(.*/no/such/bundle\.pem\)"):
        source(unreachable.replace("http:", "https:")).load("test", tmp_path / "data")


def test_what_pooch_reads_from_the_environment_changes_nothing(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POOCH_BASE_URL", "POOCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/no/such/place")
    monkeypatch.delenv("HOME")
    assert len(source(mirror.address).load("test", tmp_path / "data")) == 2


def test_a_disk_that_is_full_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full)
    with pytest.raises(OutputError, match=rf"cannot write .*{IMAGES_FILE}: no space left on device"):
        source(mirror.address).load("test", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_several_downloads_at_once_all_get_whole_files(tmp_path: Path, mirror: Mirror) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: source(mirror.address).load("test", tmp_path / "data"), range(4)))
    assert [one.labels.tolist() for one in loaded] == [[9, 1]] * 4
    raw = tmp_path / "data" / "Tiny" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == FILES


def test_a_progress_bar_is_shown_to_whoever_waits_at_a_terminal(
    tmp_path: Path, mirror: Mirror, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source(mirror.address).load("test", tmp_path / "silent")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    source(mirror.address).load("test", tmp_path / "shown")
    assert "100%" in capfd.readouterr().err


def test_a_place_that_cannot_be_made_is_one_sentence(tmp_path: Path, mirror: Mirror) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=f"cannot write {tmp_path}/file/Tiny/raw: not a directory"):
        source(mirror.address).load("test", tmp_path / "file")
    assert mirror.requests == []


@pytest.mark.parametrize("known", [Mnist, FashionMnist, Kmnist], ids=lambda known: known.name)
def test_the_known_sources_are_complete(known: type[IdxFiles]) -> None:
    assert sorted(known.md5) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    assert len(known.mirrors) >= 2
    assert all(mirror.endswith("/") for mirror in known.mirrors)
    assert len(known.classes) == 10


def test_the_checksums_of_fashion_mnist_are_those_of_its_files(data_dir: Path) -> None:
    raw = data_dir / "FashionMNIST" / "raw"
    names = [name for name in FashionMnist.md5 if (raw / name).is_file()]
    if not names:
        pytest.skip(f"needs Fashion-MNIST's gzip files in {raw}")
    for name in names:
        assert hashlib.md5((raw / name).read_bytes()).hexdigest() == FashionMnist.md5[name]


def idx(values: torch.Tensor) -> bytes:
    header = bytes((0, 0, 8, values.ndim)) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return gzip.compress(header + values.numpy().tobytes(), mtime=0)


def serve(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, kind: type, content: bytes) -> None:
    (mirror.folder / kind.archive).write_bytes(content)
    monkeypatch.setattr(kind, "mirrors", (mirror.address,))
    monkeypatch.setattr(kind, "md5", hashlib.md5(content).hexdigest())


def test_emnist_is_fetched_once_for_all_its_splits_and_stands_upright(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.arange(2 * 3 * 3, dtype=torch.uint8).reshape(2, 3, 3)
    labels = {"letters": (1, 26), "balanced": (0, 46)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../gzip/emnist-stray.txt", "none")
        for name, values in labels.items():
            archive.writestr(f"gzip/emnist-{name}-test-images-idx3-ubyte.gz", idx(images))
            archive.writestr(
                f"gzip/emnist-{name}-test-labels-idx1-ubyte.gz", idx(torch.tensor(values, dtype=torch.uint8))
            )
    serve(mirror, monkeypatch, Emnist, packed.getvalue())
    with pytest.raises(DataError, match=r"emnist-letters-test-images-idx3-ubyte.gz in .*EMNIST.*not there"):
        Emnist("letters", str(tmp_path)).load("test", download=False)
    found = {name: Emnist(name, str(tmp_path)).load("test") for name in ("letters", "balanced")}
    assert mirror.requests == ["/gzip.zip"]
    assert sorted(path.name for path in (tmp_path / "EMNIST" / "raw").iterdir()) == sorted(
        f"emnist-{name}-test-{kind}-ubyte.gz" for name in labels for kind in ("images-idx3", "labels-idx1")
    )
    for one in found.values():
        assert torch.equal(one.images, images.transpose(1, 2))
    assert [found["letters"].classes[label] for label in found["letters"].labels] == ["a", "z"]
    assert [found["balanced"].classes[label] for label in found["balanced"].labels] == ["0", "t"]
    with pytest.raises(DataError, match=r"emnist-letters-train-images-idx3-ubyte.gz in gzip.zip, but it is not there"):
        Emnist("letters", str(tmp_path)).load("train")


def test_the_classes_of_emnist_are_as_many_as_its_authors_say() -> None:
    from voltphase.data.emnist import _CLASSES

    counts = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "digits": 10, "mnist": 10}
    assert {name: len(set(classes)) for name, classes in _CLASSES.items()} == counts
    assert _CLASSES["balanced"][36:] == "abdefghnqrt"


def batch(colours: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 and the numpy of its day pickled the files of CIFAR-10, opcode by opcode."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    rows = colours.reshape(len(labels), -1)
    kind = b"cnumpy\ndtype\n" + text(rows.dtype.str[1:].encode()) + number(0) + number(1) + b"\x87R"
    kind += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    array += b"(" + number(1) + number(len(rows)) + number(rows.shape[1]) + b"\x86" + kind + b"\x89"
    array += text(rows.tobytes()) + b"tb"
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + b"u."


def test_cifar_is_fetched_once_and_made_grey(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 2, 3, 32, 32), dtype=np.uint8)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "../stray"]):
            content = batch(colours[min(number, 5)], [number % 10, 9])
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    serve(mirror, monkeypatch, Cifar10, packed.getvalue())
    with pytest.raises(DataError, match=r"test_batch in .*not there: unpack cifar-10-python.tar.gz"):
        Cifar10(str(tmp_path)).load("test", download=False)
    test, train = Cifar10(str(tmp_path)).load("test"), Cifar10(str(tmp_path)).load("train")
    assert mirror.requests == ["/cifar-10-python.tar.gz"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("c")] == ["cifar-10-batches-py"]
    assert not list(tmp_path.rglob("stray"))
    assert (len(train), len(test), train.labels.tolist()[:4]) == (10, 2, [0, 9, 1, 9])
    expected = [np.asarray(Image.fromarray(one.transpose(1, 2, 0)).convert("L")) for one in colours[5]]
    assert np.array_equal(test.images.numpy(), np.stack(expected))


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps(print), pickle.dumps({b"data": [1]}), batch(np.zeros((1, 3, 32, 32)), [0])],
    ids=["empty", "text", "a call", "without labels", "real numbers"],
)
def test_a_batch_of_cifar_that_is_none_is_one_sentence_and_calls_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match="test_batch to be a batch of CIFAR-10, but it cannot be read so"):
        Cifar10(str(tmp_path)).load("test")
