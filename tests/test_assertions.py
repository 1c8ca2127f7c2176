"""The tests themselves: no assertion over what may be empty, for `all` of none is true and proves nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import some

TESTS = Path(__file__).resolve().parent


def unproven(source: str) -> Iterator[int]:
    """Lines that assert `all(…)`, or that there is not `any(…)`, of what may be empty.

    Not empty are a literal with elements, and `some(…)`, which fails where there is nothing; what a condition picks out
    of them may be empty again.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assert):
            continue
        for call in ast.walk(node.test):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and len(call.args) == 1):
                continue
            if call.func.id == "all" or (call.func.id == "any" and is_denied(node.test, call)):
                (looked_at,) = call.args
                if not is_never_empty(looked_at):
                    yield node.lineno


def is_denied(test: ast.expr, call: ast.Call) -> bool:
    """Whether `not` stands before a call."""
    return any(
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and node.operand is call
        for node in ast.walk(test)
    )


def is_never_empty(node: ast.expr) -> bool:
    """Whether an expression has at least one element, or fails."""
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
        return all(is_never_empty(one.iter) and not one.ifs for one in node.generators)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "some"


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_every_assertion_looks_at_something(file: Path) -> None:
    """Each line that is named asserts over what may be empty: put it into `some(…)` of tests/parts.py, or count."""
    assert list(unproven(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "proves"),
    [
        ("assert all(x for x in found)", False),
        ("assert all(found)", False),
        ("assert found and all(x for x in found)", False),
        ("assert all(x for x in some(found) if x.here)", False),
        ("assert all(x for y in some(found) for x in y)", False),
        ("assert all([])", False),
        ("assert not any(x for x in found)", False),
        ("assert all(x for x in some(found))", True),
        ("assert all(some(found))", True),
        ("assert all(x in found for x in ('a', 'b'))", True),
        ("assert any(x for x in found)", True),
        ("assert not any(x in found for x in 'ab')", False),
        ("assert not any(x in found for x in ['a'])", True),
        ("found = all(x for x in found)", True),
    ],
)
def test_what_may_be_empty_is_seen(source: str, proves: bool) -> None:
    assert (list(unproven(source)) == []) is proves


def test_some_fails_for_nothing() -> None:
    """It returns what it was given, of any kind; and of nothing it makes a failure."""
    assert some(iter((0, 1))) == some({0: "a", 1: "b"}) == [0, 1]
    with pytest.raises(AssertionError, match="prove nothing"):
        some(x for x in (1, 2) if x > 2)
