"""What a page of the viewer contains, and what its server answers and refuses."""

import base64
import http.client
import json
import re
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.inference.predict import query
from model.inference.unseen import voxelised
from model.network.trained import load
from model.viewer import pack as packing
from model.viewer.embedded import embedded, quantised
from model.viewer.layers import Labels, View, thinned
from model.viewer.pack import pack
from model.viewer.page import render
from model.viewer.server import LONGEST, is_own, make_server
from model.viewer.sources import view_of_scan
from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.readers.any_scan import read_any
from pipeline.simulate.s3dis_files import write_room
from tests.helpers import tiny_clip, tiny_s3dis
from tests.helpers.tiny_entries import CLASSES, VOXEL_SIZE
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points, write_ply

CPU = torch.device("cpu")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'\""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.write(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def trained(clip: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network(tmp_path_factory.mktemp("network"), clip)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ply(tmp_path_factory.mktemp("scan") / "room.ply", points())


@pytest.fixture(scope="module")
def view(scan: Path, trained: Path) -> View:
    return view_of_scan(scan, [trained], free_words=True)


def arrays(page: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The description and the arrays of a page, read back as its scripts do."""
    (meta,) = re.findall(r'<script type="application/json" id="meta">(.*?)</script>', page)
    (data,) = re.findall(r'<script type="text/plain" id="data">(.*?)</script>', page)
    known, block = json.loads(meta), zlib.decompress(base64.b64decode(data))
    kinds = {"u8": np.uint8, "u16": np.uint16, "u32": np.uint32}
    found = {}
    for name, part in known["arrays"].items():
        rows = block[part["begin"] : part["begin"] + part["bytes"]]
        found[name] = np.frombuffer(rows, kinds[part["type"]])
    return known, found


def test_the_points_of_a_page_are_those_of_the_scan(view: View) -> None:
    meta, found = arrays(render(pack(view)))
    steps = [np.cumsum(found[axis], dtype=np.uint16) for axis in "xyz"]
    xyz = meta["unit"] * np.stack(steps, 1).astype(float) + meta["origin"]
    assert meta["points"] == {"shown": 3000, "all": 3000}
    assert np.abs(xyz - view.xyz[view.order]).max() <= 0.51 * meta["unit"] + 1e-6
    assert meta["unit"] == 0.001
    rgb = np.stack([found[f"color_{channel}"] for channel in "rgb"], 1)
    np.testing.assert_array_equal(rgb, view.rgb[view.order])
    np.testing.assert_array_equal(found["label_1"], view.labels[0].label[view.order])


def test_the_compact_embeddings_answer_as_the_network_does(scan: Path, trained: Path) -> None:
    known = load(trained, CPU)
    voxels = voxelised(read_any(scan)[0], VOXEL_SIZE)
    text = known.text_embeddings.numpy()
    found = embedded(known, voxels)
    expected = query(known, voxels, text)
    np.testing.assert_allclose(found.cosine(text)[found.voxel_of], expected, atol=1e-5)
    assert found.hidden.shape[1] < text.shape[1]


def test_a_supervised_network_shows_classes_and_answers_no_words(
    scan: Path, tmp_path: Path
) -> None:
    view = view_of_scan(scan, [network(tmp_path, None, "supervised")])
    assert [labels.name for labels in view.labels] == ["supervised"]
    assert view.networks == []
    assert "answers no words" in view.notes[-1]
    meta, _ = arrays(render(pack(view)))
    assert meta["panels"] == [0, 1]


def test_networks_of_one_name_are_told_apart(scan: Path, clip: str, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    view = view_of_scan(scan, [network(folder, clip) for folder in folders])
    assert [labels.name for labels in view.labels] == ["ess_esgs (1)", "ess_esgs (2)"]


@given(st.integers(1, 3000), st.integers(1, 4000))
def test_of_too_many_points_each_part_keeps_its_share(count: int, most: int) -> None:
    order = np.random.default_rng(0).permutation(count)
    blank = np.zeros((count, 3))
    view = View("", blank.astype(np.float32), blank.astype(np.uint8), order, 1.0)
    kept = thinned(view, most)
    assert len(kept) == min(count, most) == len(np.unique(kept))
    places = np.argsort(order)[kept]
    assert (np.diff(places) > 0).all()
    if count > most:
        gaps = np.diff([*places, count])
        assert gaps.max() - gaps.min() <= 1


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_quantised_heat_is_off_by_half_a_step(values: list[float]) -> None:
    cosine = np.array(values, np.float32)
    heat, low, high = quantised(cosine)
    back = low + (high - low) * heat / 255
    assert np.abs(back - cosine).max() <= (high - low) / 510 + 1e-6


def test_hostile_names_stay_text_in_a_page_that_loads_nothing(view: View) -> None:
    labels = replace(view.labels[0], name=HOSTILE, classes=[HOSTILE, *CLASSES[1:]])
    networks = [replace(view.networks[0], name=HOSTILE, vocabulary=[HOSTILE, *CLASSES[1:]])]
    page = render(pack(replace(view, title=HOSTILE, labels=[labels], networks=networks)))
    outside = re.sub(r'(?s)<script type="application/json".*?</script>', "", page)
    assert len(re.findall(r"<script", page)) == len(re.findall(r"</script>", page)) == 3
    assert "<img" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in outside
    meta, _ = arrays(page)
    assert meta["title"] == meta["layers"][1]["name"] == HOSTILE
    assert not re.findall(r"https?:", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_scan_that_no_run_has_read_shows_the_ground_truth_of_its_folder(
    trained: Path, tmp_path: Path
) -> None:
    room = tiny_s3dis.room()
    write_room(tmp_path, room)
    folder = next(tmp_path.rglob("office_1"))
    seen = view_of_scan(folder, [trained])
    truth = seen.labels[0]
    assert [labels.name for labels in seen.labels] == ["ground truth", "ess_esgs"]
    assert truth.classes == tiny_s3dis.NAMES
    height = {name: seen.xyz[truth.label == truth.classes.index(name), 2] for name in truth.classes}
    assert len(truth.label) == len(seen.xyz)
    assert height["floor"].max() < height["table"].mean() < height["ceiling"].min()
    meta = pack(seen).meta
    assert [meta["layers"][panel]["name"] for panel in meta["panels"] if panel] == [
        "ground truth",
        "ess_esgs",
    ]


def test_ground_truth_that_cannot_be_read_is_a_note(trained: Path, tmp_path: Path) -> None:
    xyz, folder = points(), tmp_path / "scans" / "scene0000_00"
    folder.mkdir(parents=True)
    write_ply(folder / "scene0000_00_vh_clean_2.ply", xyz)
    assert [labels.name for labels in view_of_scan(folder, [trained]).labels] == [trained.stem]
    for name in ("_vh_clean_2.0.010000.segs.json", "_vh_clean_2.labels.ply", ".aggregation.json"):
        (folder / f"scene0000_00{name}").write_text("{")
    seen = view_of_scan(folder, [trained])
    assert [labels.name for labels in seen.labels] == [trained.stem]
    assert [note for note in seen.notes if note.startswith("Ground truth is not shown. ")]


def test_more_classes_than_fit_a_byte_are_refused(view: View) -> None:
    classes = [f"class {k}" for k in range(256)]
    many = Labels("many", classes, np.zeros((256, 3), np.uint8), view.labels[0].label)
    with pytest.raises(BadInput, match="has 256 classes, and the viewer shows 255"):
        view.add_labels(many)


def test_of_more_heat_than_a_page_holds_the_rarest_classes_are_left_out(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = len(view.networks[0].embedded.length)
    monkeypatch.setattr(packing, "HEAT_BYTES", 2 * voxels)
    meta, found = arrays(render(pack(view)))
    assert len(meta["networks"][0]["phrases"]) == 2
    assert len(found["heat_0"]) == 2 * voxels
    assert meta["notes"][-1].startswith(f"Heat of the {len(CLASSES) - 2} rarest classes")


def test_a_ceiling_is_found_and_cut_off() -> None:
    rng = np.random.default_rng(0)
    box = rng.uniform(0, 1, (20000, 3)) * (4, 4, 2.6)
    box[:9000, 2], box[9000:18000, 2] = 0, 2.6
    cut = packing._ceiling(box[:, 2])
    assert cut is not None
    assert 2.2 < cut < 2.6
    assert packing._ceiling(box[:9000, 2]) is None


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["view", *map(str, arguments)])


def test_a_file_is_written_and_knows_the_queries_it_was_given(
    scan: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "view.html"
    done = command(
        "--scan", scan, "--network", trained, "--query", "a lamp", "--out", out, "--points", 1000
    )
    assert done.exit_code == 0, done.output
    assert f"view: {out} (" in done.stdout
    meta, found = arrays(out.read_text())
    assert meta["points"] == {"shown": 1000, "all": 3000}
    assert [each["words"] for each in meta["networks"][0]["phrases"]] == [*CLASSES, "a lamp"]
    assert (meta["words"], meta["server"], meta["networks"][0]["free"]) == ("a lamp", False, False)
    assert len(found["label_1"]) == 1000


def test_predict_writes_the_page_beside_the_labels(
    scan: Path, trained: Path, tmp_path: Path
) -> None:
    options = [f"--scan={scan}", f"--network={trained}", f"--out={tmp_path}", "--query=a lamp"]
    done = CliRunner().invoke(main, ["predict", *options])
    assert f"view: {tmp_path / 'view.html'} (" in done.stdout, done.output
    meta, _ = arrays((tmp_path / "view.html").read_text())
    assert meta["title"] == "room.ply"
    assert meta["words"] == "a lamp"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "view: no scan is named; name a dataset, or a scan with --scan=PATH."),
        (["--scan=nowhere.ply"], "nowhere.ply: no such file or folder"),
        (["nothing", "--work=nowhere"], "plan.json: no run has written it; run snakemake train_"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_sentence(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = command(*arguments, "--out", tmp_path / "view.html")
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.fixture(scope="module")
def port(view: View) -> Iterator[int]:
    """The port of a server of the scan."""
    with make_server(view, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    assert method != "GET" or answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    return answer.status, answer.read()


def test_the_server_answers_words_by_cosines_of_the_voxels(port: int, view: View) -> None:
    status, body = get(port, "/query?network=0&words=a+lamp+%C3%A9")
    assert status == 200
    low, high = struct.unpack("<2f", body[:8])
    own = view.networks[0]
    assert own.embed is not None
    expected = own.embedded.cosine(own.embed([["a lamp é"]]))[:, 0]
    found = low + (high - low) * np.frombuffer(body[8:], np.uint8) / 255
    assert np.abs(found - expected).max() <= (high - low) / 500
    assert get(port, "/query?network=0&words=a+lamp+%C3%A9") == (200, body)
    assert b'"server": true' in get(port, "/")[1]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/query", 400),
        ("/query?network=0", 400),
        ("/query?network=0&words=+", 400),
        ("/query?network=x&words=a", 400),
        ("/query?network=-1&words=a", 400),
        ("/query?network=7&words=a", 404),
        ("/query?network=0&words=%ff", 400),
        ("/query?network=0&words=a&words=b&words=c", 400),
        (f"/query?network=0&words={'a' * (LONGEST + 1)}", 400),
        (f"/query?network=0&words={'a' * 5000}", 414),
        ("/favicon.ico", 404),
        ("/../etc/passwd", 404),
        ("/view.css", 404),
        ("//etc/passwd", 404),
    ],
)
def test_the_server_gives_nothing_but_the_page_and_answers(
    path: str, status: int, port: int
) -> None:
    found, body = get(port, path)
    assert found == status
    assert len(body.splitlines()) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_the_server_is_only_read(method: str, port: int) -> None:
    assert get(port, "/", method)[0] == 501


def test_a_name_of_somebody_else_is_refused(port: int) -> None:
    assert get(port, "/", Host=f"localhost:{port}")[0] == 200
    assert get(port, "/", Host=f"127.0.0.1:{port}")[0] == 200
    for other in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "", "[", "::"):
        assert get(port, "/", Host=other)[0] == 421, other
    assert is_own("box:80", "box")
    assert is_own("[::1]:80", "box")
    assert not is_own("other:80", "box")


def test_a_port_that_is_taken_is_said_in_one_sentence(view: View) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match=r"cannot be listened at .*; name another --host or"):
            make_server(view, "127.0.0.1", taken.getsockname()[1])
