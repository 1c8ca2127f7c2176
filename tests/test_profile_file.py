"""The reader of .prof files: what marshal reads, it reads; what is no profile, it refuses and survives."""

import bz2
import cProfile
import gzip
import lzma
import marshal
import profile
import pstats
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.study.prof_reader import BadProfile, Cost, Function, MarshalReader, read_profile, summed
from profiling.study.tree import tree

TEXTS = st.text(max_size=300)
NUMBERS = st.integers(-(2**200), 2**200) | st.floats(allow_nan=False)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS
NESTED = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=4).map(tuple) | st.dictionaries(TEXTS, one, max_size=4), max_leaves=20
)


def work() -> list[str]:
    """Something with calls, recursion and functions in C."""
    return sorted(str(down(at)) for at in range(50))


def down(at: int) -> int:
    return 0 if at <= 0 else 1 + down(at - 1)


@pytest.fixture(scope="module")
def prof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("profiles") / "work.prof"
    profiler = cProfile.Profile()
    profiler.runcall(work)
    profiler.dump_stats(file)
    return file


def refused(file: Path, content: bytes) -> str:
    """What is said of a file with that content."""
    file.write_bytes(content)
    with pytest.raises(BadProfile) as caught:
        read_profile(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_profile_reads_as_pstats_reads_it(prof: Path) -> None:
    """Every figure of every function and caller is what the standard library finds in our own file."""
    expected: Any = pstats.Stats(str(prof)).stats  # type: ignore[attr-defined]
    found = read_profile(prof)
    assert found.entries.keys() == expected.keys()
    for function, (*figures, callers) in expected.items():
        assert found.entries[function].cost == tuple(figures)
        for caller, (one, other, *seconds) in callers.items():
            # cProfile writes all calls of a caller first, those not recursive second.
            assert found.entries[function].callers[caller] == (min(one, other), max(one, other), *seconds)
    assert found.seconds == pytest.approx(pstats.Stats(str(prof)).total_tt, rel=1e-9)  # type: ignore[attr-defined]
    assert any(function.file == "~" for function in found.entries)


def test_the_older_profile_module_knows_only_calls_by_caller(tmp_path: Path) -> None:
    """Its callers are numbers of calls: their time is shared out by these."""
    profiler = profile.Profile()
    profiler.runcall(work)
    profiler.dump_stats(tmp_path / "old.prof")
    entries = read_profile(tmp_path / "old.prof").entries
    (function,) = (one for one in entries if one.name == "down")
    whole, callers = entries[function]
    assert sum(cost.calls for cost in callers.values()) == whole.calls
    assert sum(cost.own for cost in callers.values()) == pytest.approx(whole.own)


@pytest.mark.slow
@given(NESTED, st.integers(0, 4))
def test_what_marshal_writes_is_read_back(value: Any, version: int) -> None:
    """Every version of the format, from Python 1.5's to today's."""
    assert MarshalReader(marshal.dumps(value, version)).only_value() == value


def test_python_2_wrote_texts_as_bytes(tmp_path: Path) -> None:
    """Interned texts are written once and referred to after; a file name may be in any encoding."""
    key = b"(\3\0\0\0t\5\0\0\0caf\xe9.i\7\0\0\0t\4\0\0\0main"
    again = b"(\3\0\0\0R\0\0\0\0i\7\0\0\0R\1\0\0\0"
    figures = b"i\1\0\0\0i\1\0\0\0f\0030.5g" + b"\0\0\0\0\0\0\xe8\x3f"
    content = b"{" + key + b"(\5\0\0\0" + figures + b"{" + again + b"(\4\0\0\0" + figures + b"00"
    file = tmp_path / "old.prof"
    file.write_bytes(content)
    function = Function("caf\N{REPLACEMENT CHARACTER}.", 7, "main")
    cost = Cost(1, 1, 0.5, 0.75)
    assert read_profile(file).entries == {function: (cost, {function: cost})}


@pytest.mark.slow
def test_every_mutation_is_read_or_refused(prof: Path, tmp_path: Path, record_property: Any) -> None:
    """5,000 files with bytes changed, cut or put in: a profile or `BadProfile`, and nothing else."""
    draw, content, mutations, bad = random.Random(0), prof.read_bytes(), 5000, 0
    file = tmp_path / "mutated.prof"
    for _ in range(mutations):
        changed = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(changed))
            kind = draw.randrange(3)
            if kind == 0:
                changed[at] = draw.randrange(256)
            elif kind == 1:
                del changed[at : at + draw.randint(1, 40)]
            else:
                changed[at:at] = draw.randbytes(draw.randint(1, 8))
        file.write_bytes(changed)
        try:
            read_profile(file)
        except BadProfile:
            bad += 1
    assert bad > mutations // 2
    record_property("mutated profiles read or refused", mutations)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty. A file that cProfile wrote is needed"),
        (b"not a profile", "type 'n', which no profile holds"),
        (marshal.dumps(compile("1", "x", "exec")), "a code object, which no profile holds"),
        (marshal.dumps([1]), "a list, which no profile holds"),
        (marshal.dumps({}), "found no function in it"),
        (marshal.dumps(3), "found a int and no table of functions"),
        (marshal.dumps({"a": 1}), "a function without its five figures"),
        (marshal.dumps({"a": (1, 1, 0.1, 0.1, {})}), "no file, line and name"),
        (marshal.dumps({("a", 1, "b"): (1, 1, float("nan"), 0.1, {})}), "no finite figures"),
        (marshal.dumps({("a", 1, "b"): (1.5, 1, 0.1, 0.1, {})}), "no numbers of calls"),
        (marshal.dumps({}) + b"more", "found 4 bytes after the end"),
        (b"(\xff\xff\xff\x7f", "a tuple of 2,147,483,647, more than there are bytes"),
        (b"u\xff\xff\xff\x7f", "found 0 bytes where 2,147,483,647 are announced"),
        (b")\x01" * 50 + b"N", "nested more than 12 deep"),
        (b"l\xff\xff\xff\x7f", "a number of 2,147,483,647 digits"),
        (b"r\x05\0\0\0", "a reference to object 5, which is not there"),
        (b"\xa9\x01r\0\0\0\0", "a reference to object 0, which is not there"),  # a tuple that holds itself
        (b"{{0N0", "found a dict for a key"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_place(tmp_path: Path, content: bytes, told: str) -> None:
    """File, byte, what was found; nothing in it is run."""
    assert told in refused(tmp_path / "a.prof", content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadProfile, match="No such file"):
        read_profile(tmp_path / "none.prof")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_profile_is_read_whatever_its_name(prof: Path, tmp_path: Path, compress: Any) -> None:
    """By how it begins; one that is cut short is refused."""
    file = tmp_path / "work.prof"
    file.write_bytes(compress(prof.read_bytes()))
    assert read_profile(file).entries == read_profile(prof).entries
    assert "damaged or cut short" in refused(file, compress(prof.read_bytes())[:-40])


PRINTED = "         4 function calls in 0.000 seconds\n\n   ncalls  tottime  percall  cumtime  percall filename"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PRINTED.encode(), "printed text of pstats: give the .prof"),
        (b"memray\0\x0c\0\0\0", "a memory profile of memray"),
        (b"\x80\x04\x95\x00cline_profiler.line_profiler\nLineStats", "a profile of line_profiler"),
        (b'{"traceEvents": [], "viztracer_metadata": {}}', "a trace of viztracer"),
        (b'{"$schema": "https://www.speedscope.app/file-format-schema.json"}', "a profile for speedscope"),
        (b'<?xml version="1.0"?><svg version="1.1">', "a picture"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"version: 1\ncreator: yappi\nevents: Ticks\n", "a profile for KCachegrind"),
        (b"import json\nprint(json.dumps(1))\n", "Python source. Profile it: tenfold profile run FILE.py"),
    ],
)
def test_what_other_programs_write_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    """With what to do about it."""
    assert told in refused(tmp_path / "a.prof", content)


def test_names_of_other_programs_in_a_profile_are_no_matter(tmp_path: Path) -> None:
    """A profile of memray's own code, or of a file called <svg, is a profile."""
    key = ("/site-packages/memray/line_profiler <svg import .py", 1, "def traceEvents")
    (tmp_path / "a.prof").write_bytes(marshal.dumps({key: (1, 1, 0.5, 0.5, {})}))
    assert read_profile(tmp_path / "a.prof").seconds == 0.5


def test_several_profiles_are_summed_as_pstats_does(prof: Path, tmp_path: Path) -> None:
    """Every figure of every function; and what pstats sums is read."""
    expected: Any = pstats.Stats(str(prof), str(prof))
    found = summed([read_profile(prof), read_profile(prof)])
    assert found.entries.keys() == expected.stats.keys()
    for function, (*figures, _) in expected.stats.items():
        assert found.entries[function].cost == pytest.approx(tuple(figures))
    expected.dump_stats(tmp_path / "sum.prof")
    read = read_profile(tmp_path / "sum.prof").entries
    assert read.keys() == found.entries.keys()
    for function, entry in found.entries.items():
        assert read[function].cost == pytest.approx(entry.cost)


def test_what_the_sampler_of_python_3_15_writes_is_read(tmp_path: Path) -> None:
    """`profiling.sampling` marks its file, counts samples, and notes each line of a function apart."""
    lines = {
        ("__sampled__",): True,
        ("a.py", 10, "outer"): (0, 30, 0.0, 0.3, {}),
        ("a.py", 21, "inner"): (20, 20, 0.2, 0.2, {("a.py", 10, "outer"): 20}),
        ("a.py", 22, "inner"): (10, 10, 0.1, 0.1, {("a.py", 10, "outer"): 10}),
    }
    (tmp_path / "a.pstats").write_bytes(marshal.dumps(lines))
    found = read_profile(tmp_path / "a.pstats")
    assert found.sampled
    assert found.entries.keys() == {Function("a.py", 10, "outer"), Function("a.py", 21, "inner")}
    inner = found.entries[Function("a.py", 21, "inner")]
    assert inner.cost == pytest.approx((30, 30, 0.3, 0.3))
    assert inner.callers[Function("a.py", 10, "outer")].cumulative == pytest.approx(0.3)
    drawn = tree(found)
    assert drawn.covered == pytest.approx(1)
    assert [box.function.name for box in drawn.boxes] == ["outer", "inner"]


def installed(minor: int) -> str | None:
    """A Python of that version: on the path, or among those of pyenv."""
    by_pyenv = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
    candidates: list[object] = [*by_pyenv, shutil.which(f"python3.{minor}")]
    for one in filter(None, candidates):
        if subprocess.run([str(one), "-c", ""], capture_output=True).returncode == 0:
            return str(one)
    return None


SCRIPT = "import json\ndef named(n): return json.dumps(list(range(n)), indent=1)\nfor _ in range(40): named(200)\n"


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(8, 16))
@pytest.mark.parametrize("module", ["cProfile", "profile"])
def test_profiles_of_other_pythons_are_read(module: str, minor: int, tmp_path: Path) -> None:
    """Each that is installed here profiles a script with an import; all own time is in the icicle's boxes.

    The module `profile` writes no times of callers, and the script's code object for its name.
    """
    python = installed(minor)
    if python is None:
        pytest.skip(f"Python 3.{minor} is not installed here")
    (tmp_path / "script.py").write_text(SCRIPT)
    subprocess.run([python, "-m", module, "-o", "script.prof", "script.py"], cwd=tmp_path, check=True)
    found = read_profile(tmp_path / "script.prof")
    assert {"dumps", "<module>"} <= {one.name for one in found.entries}
    (named,) = (entry for one, entry in found.entries.items() if one.name == "named")
    assert named.cost.calls == 40
    expected: Any = marshal.loads((tmp_path / "script.prof").read_bytes()) if minor == sys.version_info.minor else {}  # noqa: S302 - our own file
    assert not expected or len(expected) == len(found.entries)
    drawn = tree(found)
    assert drawn.covered > 0.95
    assert drawn.seconds == pytest.approx(found.seconds, rel=0.05)


@pytest.mark.parametrize(
    "name", ["314-cProfile", "314-profile", "315-profile", "315-profiling.tracing", "315-sampling"]
)
def test_kept_profiles_of_the_newest_pythons_are_read(name: str) -> None:
    """Of 3.14 and 3.15, its package `profiling` included: every call is counted, and the boxes hold all own time."""
    profile = read_profile(Path(__file__).with_name("profiles") / f"{name}.prof")
    calls = {function.name: entry.cost.calls for function, entry in profile.entries.items()}
    if name == "315-sampling":
        assert profile.sampled
        assert calls == {"<module>": 30, "fib": 20, "named": 10, "dumps": 10}
    else:
        assert (calls["named"], calls["dumps"], calls["fib"]) == (40, 40, 465)
    drawn = tree(profile)
    assert drawn.covered > 0.95
    assert drawn.seconds == pytest.approx(profile.seconds, rel=0.01)


def test_a_code_object_stands_only_where_a_name_does(tmp_path: Path) -> None:
    """Of it the name is taken; anywhere else it is refused, and so is a damaged one."""
    code = compile("def f():\n  return [lambda: (1j, ..., frozenset([2]), b'x') for _ in {3}]", "<café>", "exec")
    figures = (1, 1, 0.5, 0.5, {("profile", 0, code): 1})
    content = marshal.dumps({("profile", 0, code): figures, ("a.py", 1, "a"): figures})
    (tmp_path / "a.prof").write_bytes(content)
    names = {one.name for one in read_profile(tmp_path / "a.prof").entries}
    assert names == {"<code object <module>, file <café>>", "a"}
    refused(tmp_path / "b.prof", marshal.dumps({("a", 1, "a"): (1, 1, code)}))
    assert "which no profile holds" in refused(tmp_path / "b.prof", marshal.dumps({code: (1, 1, 0.5, 0.5, {})}))
    at = content.index(marshal.dumps(code.co_code)[1:])
    refused(tmp_path / "c.prof", content[: at + 10])
