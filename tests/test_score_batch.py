"""`score_batch`: rows kept in their order, scores of the scorer; and DuckDB calls it."""

import pyarrow as pa
import pytest
from book_files import NAME, applications
from parts import newest

from inference.book.errors import BadBook
from inference.book.record_batch import score_batch, score_in
from inference.engines import XGBoostEngine
from inference.errors import InvalidApplication
from inference.languages import Words
from inference.lender_option import OfLender
from inference.questions import Question
from inference.release import Release, open_release
from inference.scorer import Scorer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def consumer() -> Release:
    return open_release(newest(NAME))


def batch_of(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.Table.from_pylist(rows).combine_chunks().to_batches()[0]


def test_every_row_is_there_in_its_order_with_the_scorers_score(consumer: Release) -> None:
    """Good rows have the bits of `Scorer.score`; a refused one has nulls and every problem of the form's."""
    rows = applications(500)
    for place in range(0, 500, 9):
        rows[place] = {**rows[place], "home": "castle", "term": None}
    engine = XGBoostEngine(consumer)
    scored = score_batch(batch_of(rows), consumer, engine)
    assert scored.num_rows == 500
    assert scored.column("loan_id").to_pylist() == [row["loan_id"] for row in rows]
    scorer = Scorer(consumer, engine)
    refused = 0
    for row, got in zip(rows, scored.to_pylist(), strict=True):
        answers = {name: row[name] for name in consumer.form.names}
        values: tuple[object, ...] = (None, None, None)
        problems = None
        try:
            expected = scorer.score(answers)
            values = (expected.pd, expected.points, expected.decision)
        except InvalidApplication as error:
            refused += 1
            problems = "; ".join(str(problem) for problem in error.problems)
        assert (got["pd"], got["points"], got["decision"], got["problems"]) == (*values, problems)
    assert refused == 56


def test_no_rows_give_no_rows_with_the_same_columns(consumer: Release) -> None:
    """Engines ask with empty batches for the schema."""
    rows = batch_of(applications(3))
    engine = XGBoostEngine(consumer)
    assert score_batch(rows.slice(0, 0), consumer, engine).schema == score_batch(rows, consumer, engine).schema


def test_a_lender_in_the_place_of_another_has_its_own_questions(consumer: Release) -> None:
    """Nobody holds what was given to the call before: its place in memory is soon another lender's."""
    rows, engine = (
        batch_of([{**row, "amount": 1500, "price": 1400} for row in applications(2)]),
        XGBoostEngine(consumer),
    )

    def asked(lender: OfLender) -> list[object]:
        return list(score_batch(rows, consumer, engine, lender).column("questions").to_pylist())

    text = Words(en="?", fr="?")
    above, below = (
        (Question(name=field, field=field, above=other, text=text),)
        for field, other in (("amount", "price"), ("price", "amount"))
    )
    lender = OfLender(questions=above)
    place, first = id(lender), asked(lender)
    del lender
    others = [OfLender(questions=below)]
    while id(others[-1]) != place and len(others) < 10_000:
        others.append(OfLender(questions=below))
    assert (first, asked(others[-1])) == (["amount"] * 2, [""] * 2)


def test_columns_that_are_missing_or_there_twice_are_named(consumer: Release) -> None:
    rows, engine = batch_of(applications(3)), XGBoostEngine(consumer)
    with pytest.raises(BadBook, match="amount"):
        score_batch(rows.drop_columns(["amount"]), consumer, engine)
    with pytest.raises(BadBook, match="'pd' would be there twice"):
        score_batch(rows.append_column("pd", pa.array([0.1] * 3)), consumer, engine)


def test_duckdb_calls_it() -> None:
    """As docs/recipes.md has it: a query's rows go through `score_in`, batch by batch, and back into a query."""
    duckdb = pytest.importorskip("duckdb")
    loans = pa.Table.from_pylist(applications(5000))
    with duckdb.connect() as connection:
        connection.register("loans", loans)
        reader = connection.sql("SELECT * FROM loans WHERE amount > 500 ORDER BY loan_id").to_arrow_reader(1024)
        scored = pa.Table.from_batches([score_in(batch, newest(NAME)) for batch in reader])
        connection.register("scored", scored)
        counts = dict(connection.execute("SELECT decision, count(*) FROM scored GROUP BY decision").fetchall())
        kept = connection.execute("SELECT count(*) FROM loans WHERE amount > 500").fetchone()
        ids = connection.execute("SELECT loan_id FROM loans WHERE amount > 500 ORDER BY loan_id").fetchall()
    assert sum(counts.values()) == kept[0] == scored.num_rows > 1000
    assert set(counts) == {"approve", "refer", "decline"}
    assert scored["loan_id"].to_pylist() == [row[0] for row in ids]
