"""Both evaluators give the same values, refuse the same imports, and end inside their limits."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, PackageMissing, UserError
from sft.experiments.grids import jsonnet
from sft.experiments.grids.jsonnet import JsonnetOptions, evaluate_jsonnet

STOPPED = r"grid.jsonnet: evaluation stopped after \d+ s \(limit --grid-timeout.*\). Look for endless recursion"
OUTSIDE = "refused: outside the grid folder (allow with --jpath)."


@pytest.fixture(params=["rjsonnet", "reference"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(jsonnet.BACKEND_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a grid's folder"
    folder.mkdir()
    return folder


def value_of(folder: Path, code: str, **options: Any) -> Any:
    grid = folder / "grid.jsonnet"
    grid.write_text(code, encoding="utf-8")
    return evaluate_jsonnet(grid, JsonnetOptions(**options))


def error_of(folder: Path, code: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        value_of(folder, code, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CONSTRUCTS = {
    "numbers": ("[3.0, 1e-5, 2e-4, 1e15, -0.5, 7 * 1e-5]", [3, 1e-5, 2e-4, 10**15, -0.5, 7 * 1e-5]),
    "text": (r"'é\ud83d\ude00\u2028\n' + ''", "é😀\u2028\n"),
    "comprehension": ("{['r' + r]: {r: r} for r in std.range(1, 2)}", {"r1": {"r": 1}, "r2": {"r": 2}}),
    "late binding": ("{a: 1, b: self.a, c:: 5} + {a: 2}", {"a": 2, "b": 2}),
    "deep plus": ("{a: {b: 1}} + {a+: {c: 2}}", {"a": {"b": 1, "c": 2}}),
    "text block": ("|||\n  two\n  lines\n|||", "two\nlines\n"),
    "format": ("'%s-%03d %g' % ['a', 7, 0.5]", "a-007 0.5"),
    "assertion": ("local x = 1; assert x == 1 : 'no'; x", 1),
    "standard library": ("std.foldl(function(a, b) a + b, std.map(function(x) x * x, [1, 2]), 0)", 5),
}


@pytest.mark.parametrize(("code", "value"), CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_values(backend: str, folder: Path, code: str, value: Any) -> None:
    assert value_of(folder, code) == value


def test_external_values_and_arguments(backend: str, folder: Path) -> None:
    code = "function(a, b, c=3) [a, b, c, std.extVar('s'), std.extVar('x')]"
    options = {"tla_str": {"a": "1"}, "tla_code": {"b": "[1]"}, "ext_str": {"s": "1"}, "ext_code": {"x": "1 + 1"}}
    assert value_of(folder, code, **options) == ["1", [1], 3, "1", 2]


def test_imports_from_the_folder_added_folders_and_the_library(backend: str, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "n.libsonnet").write_text("{m: import '../m.json', t: importstr 'text.txt'}")
    (folder / "sub" / "text.txt").write_text("é")
    (folder / "m.json").write_text("[1]")
    library = folder.parent / "library"
    library.mkdir()
    (library / "x.libsonnet").write_text("{y: import 'y.libsonnet'}")
    (library / "y.libsonnet").write_text("2")
    code = "[import 'sub/n.libsonnet', import 'x.libsonnet', (import 'sft/grid.libsonnet').seeds([13])]"
    value = value_of(folder, code, jpath=(library,))
    assert value == [{"m": [1], "t": "é"}, {"y": 2}, {"seed13": {"seed": 13}}]


def test_texts_come_without_what_editors_add_unseen(backend: str, folder: Path) -> None:
    (folder / "task.txt").write_bytes(b"\xef\xbb\xbfOne of\r\n\r\n{labels}.\n\r\n")
    (folder / "code.libsonnet").write_bytes(b"\xef\xbb\xbf|||\r\n  two\r\n  lines\r\n|||\r\n")
    code = "[importstr 'task.txt', import 'code.libsonnet', |||\n  a\n  b\n|||]".replace("\n", "\r\n")
    (folder / "grid.jsonnet").write_bytes(b"\xef\xbb\xbf" + code.encode())
    value = evaluate_jsonnet(folder / "grid.jsonnet", JsonnetOptions())
    assert value == ["One of\n\n{labels}.\n", "two\nlines\n", "a\nb\n"]


@pytest.mark.parametrize("name", ["/etc/passwd", "/proc/self/environ", "../secret.txt", "../nope.txt", "link"])
@pytest.mark.parametrize("form", ["import", "importstr", "importbin"])
def test_imports_outside_are_refused_with_their_place(backend: str, folder: Path, name: str, form: str) -> None:
    (folder.parent / "secret.txt").write_text("'canary'")
    (folder / "link").symlink_to(folder.parent / "secret.txt")
    message = error_of(folder, f"{{ a: 1,\n  b: {form} '{name}' }}")
    assert message == f'grid.jsonnet:2:6: import of "{name}" {OUTSIDE}'


def test_an_imported_file_is_held_to_the_same_folders(backend: str, folder: Path) -> None:
    (folder / "n.libsonnet").write_text('\n{p: importstr "/etc/passwd"}')
    assert error_of(folder, "import 'n.libsonnet'") == f'n.libsonnet:2:5: import of "/etc/passwd" {OUTSIDE}'


@pytest.mark.parametrize("option", ["ext_code", "tla_code"])
def test_code_of_the_command_line_is_held_to_the_same_folders(backend: str, folder: Path, option: str) -> None:
    code = "function(x=null) if x == null then std.extVar('x') else x"
    (folder / "inside.libsonnet").write_text("[2]")
    assert value_of(folder, code, **{option: {"x": "import 'inside.libsonnet'"}}) == [2]
    assert error_of(folder, code, **{option: {"x": "importstr '/etc/passwd'"}}).endswith(
        f'import of "/etc/passwd" {OUTSIDE}'
    )


def test_an_import_that_is_not_there(backend: str, folder: Path) -> None:
    message = error_of(folder, "import 'nope.libsonnet'")
    assert message.startswith('grid.jsonnet:1:1: import of "nope.libsonnet" failed: no such file')


def test_the_environment_does_not_reach_the_child(backend: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    message = error_of(folder, "importstr '/proc/self/environ'", jpath=(Path("/etc"),))
    assert "canary" not in message
    assert message.endswith(OUTSIDE)


@pytest.mark.parametrize(
    ("code", "start", "text"),
    [
        ("{a: 1 +}", "grid.jsonnet:1:8: ", '"}"'),
        ("{\n  a: error 'foo\\nbar'}", "grid.jsonnet:2:6: foo", "foo"),
        ("{a: b}", "grid.jsonnet:1:5: ", "b"),
        ("{a: 1, a: 2}", "grid.jsonnet:1:", "duplicate"),
        ("{a: std.extVar('q')}", "grid.jsonnet:1:5: ", "q"),
        ("import 'broken.libsonnet'", "broken.libsonnet:2:5: ", '"}"'),
        ("local f(x)=f(x+1); f(0)", "grid.jsonnet:1:12: ", "recursion is deeper than 500 calls"),
        ("{a: 1}.b", "grid.jsonnet:", "b"),
        ("function(x) x", "grid.jsonnet:", "x"),
        ("{f: function(x) x}", "grid.jsonnet:", "function"),
        (
            "(import 'sft/grid.libsonnet').zip([{a: {}}, {b: {}}])",
            "grid.jsonnet:1:",
            "grid.zip: the axes have different",
        ),
    ],
)
def test_an_error_is_one_line_with_its_place(backend: str, folder: Path, code: str, start: str, text: str) -> None:
    (folder / "broken.libsonnet").write_text("{a: 1,\n b: }")
    message = error_of(folder, code)
    assert message.startswith(start)
    assert text in message


def test_an_error_does_not_echo_a_token(backend: str, folder: Path) -> None:
    assert "CANARY" not in error_of(folder, "error 'hf_CANARYcanary1234567890'")


ENDLESS = "local f(x) = if x < 0 then 0 else f(x) tailstrict; f(1)"
DOUBLING = "local d(s, n) = if n == 0 then s else d(s + s, n - 1); std.length(d('abcdefgh', 60))"
CUBE = "[[x, y, z] for x in std.range(1, 200) for y in std.range(1, 200) for z in std.range(1, 200)]"


def test_an_endless_loop_is_stopped(backend: str, folder: Path) -> None:
    with pytest.raises(UserError, match=STOPPED):
        value_of(folder, ENDLESS, timeout_s=0.5)


def test_time_that_is_up_is_told_as_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jsonnet.BACKEND_VARIABLE, "reference")
    message = error_of(folder, ENDLESS, timeout_s=1)
    advice = "Look for endless recursion or a very large product."
    assert message == f"grid.jsonnet: evaluation stopped after 1 s (limit --grid-timeout). {advice}"


def test_a_text_without_end_is_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jsonnet.BACKEND_VARIABLE, "rjsonnet")
    with pytest.raises(UserError, match=STOPPED):
        value_of(folder, DOUBLING)


@pytest.mark.slow
@pytest.mark.parametrize("code", [DOUBLING, CUBE])
def test_blow_ups_are_stopped(backend: str, folder: Path, code: str) -> None:
    with pytest.raises(UserError, match=STOPPED):
        value_of(folder, code, timeout_s=20)


def test_the_child_is_limited_in_time_and_memory() -> None:
    kinds = "[r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_CORE]"
    code = (
        f"import resource as r, jsonnet_child; jsonnet_child.limit(7); print([r.getrlimit(kind) for kind in {kinds}])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=jsonnet.CHILD.parent)
    assert ended.stdout.strip() == str([(7, 7), (2 * 2**30, 2 * 2**30), (0, 0)])


def test_json_is_read_as_it_is(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text('\ufeff{"a": [1, 2.5, "é"], "b": 9007199254740993}', encoding="utf-8")
    assert evaluate_jsonnet(config, JsonnetOptions()) == {"a": [1, 2.5, "é"], "b": 9007199254740993}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "config.json:2:6: not valid JSON: Expecting ':' delimiter"),
        ("", "config.json:1:1: not valid JSON: Expecting value"),
        ('{"a": 1, "a": 2}', 'config.json: key "a" is written twice in one object'),
        ('{"a": NaN}', "config.json: NaN is not a JSON number; write null or a finite number"),
        ("[" * 100_000, "config.json: nested too deeply"),
    ],
)
def test_broken_json_is_one_line(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError) as caught:
        evaluate_jsonnet(folder / "config.json", JsonnetOptions())
    assert str(caught.value) == message


def test_files_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        evaluate_jsonnet(folder / "none.jsonnet", JsonnetOptions())
    with pytest.raises(UserError, match="is a folder"):
        evaluate_jsonnet(folder, JsonnetOptions())
    with pytest.raises(UserError, match=r"--jpath .*: no such folder"):
        value_of(folder, "1", jpath=(folder / "none",))
    (folder / "latin.jsonnet").write_bytes(b"{\n a: '\xe9'}")
    with pytest.raises(UserError, match=r"latin\.jsonnet:2: not valid UTF-8"):
        evaluate_jsonnet(folder / "latin.jsonnet", JsonnetOptions())


def test_the_reference_is_taken_where_the_fast_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(jsonnet.BACKEND_VARIABLE, raising=False)
    assert jsonnet._backend()[0] == "rjsonnet"
    find = jsonnet.importlib.util.find_spec
    monkeypatch.setattr(jsonnet.importlib.util, "find_spec", lambda name: None if name == "rjsonnet" else find(name))
    assert jsonnet._backend()[0] == "_jsonnet"
    monkeypatch.setattr(jsonnet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match="pip install rjsonnet") as caught:
        jsonnet._backend()
    assert isinstance(caught.value, MachineError)
    monkeypatch.setenv(jsonnet.BACKEND_VARIABLE, "golang")
    with pytest.raises(UserError, match="rjsonnet, reference"):
        jsonnet._backend()


def test_keys_come_in_alphabetical_order(backend: str, folder: Path) -> None:
    assert list(value_of(folder, "{b: 1, a: 2}")) == ["a", "b"]


def test_what_a_grid_traces_is_shown(backend: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = r"std.trace('MemoryError \u001b[31m', 3)"
    assert value_of(folder, code) == 3
    assert capsys.readouterr().err == "TRACE: grid.jsonnet:1 MemoryError  [31m\n"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(UserError, match=r"--grid-timeout .*: must be more than 0 seconds"):
        JsonnetOptions(timeout_s=seconds)
