"""The icicle's boxes: what they hold, how they nest, and that no time is made up or lost."""

import cProfile
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import some

from profiling.study.prof_reader import Cost, Entry, Function, Profile, read_profile
from profiling.study.stacks import of_stacks, open_profile
from profiling.study.tree import Tree, circles, roots, tree


def profile_of(tmp_path: Path, work: Callable[[], object]) -> Profile:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    profiler.dump_stats(tmp_path / "a.prof")
    return read_profile(tmp_path / "a.prof")


def checked(profile: Profile, drawn: Tree) -> Tree:
    """Every box is as wide as its own time and those below it; those of a function hold its own time."""
    inner = [0.0] * len(drawn.boxes)
    own: dict[Function, float] = {}
    for at, box in enumerate(drawn.boxes):
        assert box.parent < at
        own[box.function] = own.get(box.function, 0.0) + box.own
        if box.parent >= 0:
            inner[box.parent] += box.seconds
    for box, below in zip(drawn.boxes, inner, strict=True):
        assert box.seconds == pytest.approx(box.own + below, rel=1e-6, abs=1e-12)
    for function, seconds in own.items():
        assert seconds == pytest.approx(profile.entries[function].cost.own, rel=1e-6, abs=1e-12)
    return drawn


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)


def deep(n: int) -> int:
    return 0 if n == 0 else 1 + deep(n - 1)


@pytest.mark.parametrize(
    "work",
    [
        lambda: fib(16),
        lambda: [even(200) for _ in range(20)],
        lambda: [deep(400) for _ in range(20)],
        lambda: sorted(range(2000), key=lambda one: str(one)),  # C that calls back
    ],
    ids=["recursion", "mutual recursion", "deep recursion", "callbacks"],
)
def test_all_own_time_is_in_boxes(tmp_path: Path, work: Callable[[], object]) -> None:
    """Recursion is folded, nothing of it is lost."""
    profile = profile_of(tmp_path, work)
    drawn = checked(profile, tree(profile))
    assert drawn.covered == pytest.approx(1, abs=1e-4)
    assert drawn.seconds == pytest.approx(profile.seconds, rel=1e-4)


@pytest.mark.slow
def test_a_script_with_an_import_is_drawn_whole(tmp_path: Path) -> None:
    """`python -m cProfile -o x.prof script.py`: exec calls the script and is called by the import in it. It was one box
    of 0.0 ms."""
    (tmp_path / "script.py").write_text(
        "import json\ndef score(n): return sum(i * i for i in range(n))\nfor _ in range(50): score(5000)\n"
    )
    command = [sys.executable, "-m", "cProfile", "-o", "script.prof", "script.py"]
    subprocess.run(command, cwd=tmp_path, check=True)
    profile = open_profile(tmp_path / "script.prof")
    drawn = checked(profile, tree(profile))
    assert drawn.covered > 0.99
    assert drawn.boxes[0].function.name == "<built-in method builtins.exec>"
    path, at = [], next(at for at, box in enumerate(drawn.boxes) if box.function.name == "<genexpr>")
    while at >= 0:
        path.append(drawn.boxes[at].function.name)
        at = drawn.boxes[at].parent
    assert path[1:4] == ["<built-in method builtins.sum>", "score", "<module>"]
    (exec_seconds, *_) = (seconds for function, seconds in roots(profile) if "exec" in function.name)
    assert exec_seconds == pytest.approx(profile.seconds, rel=0.02)


def test_within_a_box_no_function_stands_again(tmp_path: Path) -> None:
    """So a picture of recursion ends."""
    drawn = tree(profile_of(tmp_path, lambda: [even(100), fib(8), deep(50)]))
    above: list[frozenset[Function]] = []
    for box in drawn.boxes:
        around = above[box.parent] if box.parent >= 0 else frozenset()
        assert box.function not in around
        above.append(around | {box.function})
    assert len(above) > 4


def test_depth_has_no_limit(tmp_path: Path) -> None:
    """A hundred functions, each called by the one before."""
    space: dict[str, Callable[[], object]] = {}
    lines = "\n".join(f"def f{at}(): return f{at + 1}()" for at in range(100))
    exec(f"{lines}\ndef f100(): return sum(range(100000))", space)  # noqa: S102 - our own lines
    drawn = tree(profile_of(tmp_path, space["f0"]))
    depth = {-1: 0}
    for at, box in enumerate(drawn.boxes):
        depth[at] = depth[box.parent] + 1
    assert max(depth.values()) >= 101


def test_a_picture_of_few_boxes_says_what_it_holds(tmp_path: Path) -> None:
    """The widest are drawn, and the covered part is less than all."""
    profile = profile_of(tmp_path, lambda: [fib(12), [even(100) for _ in range(5)], [deep(50) for _ in range(9)]])
    few = tree(profile, 2)
    assert len(few.boxes) == 2
    assert few.covered == pytest.approx(
        sum(profile.entries[one.function].cost.own for one in few.boxes) / profile.seconds
    )
    assert few.covered < 0.95


def test_a_circle_that_was_entered_halfway_is_drawn() -> None:
    """Where every function has a caller, the one with most time is outermost."""
    a, b = Function("x.py", 1, "a"), Function("x.py", 2, "b")
    entries = {
        a: Entry(Cost(1, 5, 1.0, 3.0), {b: Cost(5, 5, 1.0, 3.0)}),
        b: Entry(Cost(5, 5, 2.0, 2.5), {a: Cost(5, 5, 2.0, 2.5)}),
    }
    profile = Profile("circle", entries)
    assert list(roots(profile)) == [(a, 3.0)]
    assert circles(profile)[a] == circles(profile)[b]
    assert checked(profile, tree(profile)).covered == 1


NAMES = st.integers(0, 5).map(lambda at: Function("x.py", at, f"f{at}"))


@pytest.mark.slow
@given(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=8).map(tuple), st.floats(0.001, 10), min_size=1, max_size=20)
)
def test_true_stacks_are_drawn_as_they_were(stacks: dict[tuple[Function, ...], float]) -> None:
    """Recursion and all; own and cumulative time of every function are those of the stacks."""
    profile = of_stacks("sampled", stacks)
    assert profile.seconds == pytest.approx(sum(stacks.values()))
    drawn = checked(profile, tree(profile))
    assert drawn.covered == pytest.approx(1)
    for function, entry in profile.entries.items():
        assert entry.cost.cumulative == pytest.approx(sum(took for stack, took in stacks.items() if function in stack))


@pytest.mark.slow
@given(
    st.dictionaries(
        NAMES,
        st.tuples(st.integers(1, 9), st.floats(0.001, 5), st.dictionaries(NAMES, st.floats(0.001, 5))),
        min_size=1,
    )
)
def test_no_graph_of_callers_breaks_the_picture(
    graph: dict[Function, tuple[int, float, dict[Function, float]]],
) -> None:
    """Whatever a file says, also what no program can have done: boxes nest, and hold what they say."""
    entries = {
        one: Entry(
            Cost(calls, calls, own, own + sum(callers.values())),
            {caller: Cost(1, 1, seconds, seconds) for caller, seconds in callers.items()},
        )
        for one, (calls, own, callers) in graph.items()
    }
    drawn = tree(Profile("any", entries))
    assert 0 <= drawn.covered <= 1 + 1e-9
    assert all(box.parent < place for place, box in some(enumerate(drawn.boxes)))
