"""The reader of .prof files: what marshal reads, it reads; what is no profile, it refuses and survives."""

import cProfile
import marshal
import profile
import pstats
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.study.prof_reader import BadProfile, Cost, Function, MarshalReader, read_profile

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
        assert dict(found.entries[function].callers) == callers
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


@given(NESTED, st.integers(0, 4))
def test_what_marshal_writes_is_read_back(value: Any, version: int) -> None:
    """Every version of the format, from Python 1.5's to today's."""
    assert MarshalReader(marshal.dumps(value, version)).whole() == value


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
        (b"", "byte 0: found 0 bytes where 1 are announced"),
        (b"not a profile", "type 'n', which no profile holds"),
        (marshal.dumps(compile("1", "x", "exec")), "a code object, which no profile holds"),
        (marshal.dumps([1]), "a list, which no profile holds"),
        (marshal.dumps({}), "no table of functions"),
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
