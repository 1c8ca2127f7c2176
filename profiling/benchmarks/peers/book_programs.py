"""The consumer book as other people would score it, each program as its users write it: a Parquet file of loans in, ids
and PDs out. `python -m profiling.benchmarks.peers.book_programs NAME IN OUT ENGINE CORES` runs one and prints its
seconds without imports, its peak memory and its lines."""

import inspect
import json
import resource
import sys
import time
from pathlib import Path

from inference.engines import open_engine
from inference.release import MODEL, open_release
from profiling.peak_memory import most_resident
from profiling.workload import embedded

PLAIN = ["amount", "price", "term", "income", "expenses", "assets", "seniority"]
CHOICES = ["job", "home", "prior_record"]


class Setting:
    """What every program gets."""

    def __init__(self, name, engine, cores):
        self.release = open_release({folder.name.rpartition("-")[0]: folder for folder in embedded()}[name])
        self.engine, self.cores = engine, cores
        self.columns = list(self.release.rows.columns)

    def classifier(self):
        from xgboost import XGBClassifier

        classifier = XGBClassifier(n_jobs=self.cores)
        classifier.load_model(str(self.release.folder / MODEL))
        classifier.get_booster().set_param({"nthread": self.cores})
        return classifier

    def pds(self, probabilities):
        return self.release.calibration.pds(probabilities.astype(float))


def features(frame, columns):
    import pandas as pd

    rows = frame[PLAIN].astype("float64")
    rows["income=not_stated"], rows["assets=not_stated"] = frame["income"].isna(), frame["assets"].isna()
    rows["instalment"] = frame["amount"] / frame["term"]
    rows["burden"] = rows["instalment"] / frame["income"].where(frame["income"] != 0)
    rows["surplus"] = frame["income"] - frame["expenses"]
    rows["repayment_capacity"] = rows["surplus"] - rows["instalment"]
    rows["share_financed"] = frame["amount"] / frame["price"].where(frame["price"] != 0)
    rows["asset_cover"] = frame["assets"] / frame["amount"]
    dummies = pd.get_dummies(frame[CHOICES], prefix_sep="=")
    return pd.concat([rows, dummies], axis=1).reindex(columns=columns, fill_value=0).fillna(0).astype("float32")


def pandas_whole(setting, source, out):
    import pandas as pd

    frame = pd.read_parquet(source)
    probabilities = setting.classifier().predict_proba(features(frame, setting.columns))[:, 1]
    pd.DataFrame({"loan_id": frame["loan_id"], "pd": setting.pds(probabilities)}).to_parquet(out)


def pandas_chunks(setting, source, out):
    import pyarrow as pa
    import pyarrow.parquet as pq

    classifier, writer = setting.classifier(), None
    for batch in pq.ParquetFile(source).iter_batches(100_000, use_threads=False):
        frame = batch.to_pandas()
        pds = setting.pds(classifier.predict_proba(features(frame, setting.columns))[:, 1])
        table = pa.table({"loan_id": batch["loan_id"], "pd": pds})
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    writer.close()


def polars_whole(setting, source, out):
    import polars as pl

    column, frame = pl.col, pl.read_parquet(source)
    instalment, surplus = column("amount") / column("term"), column("income") - column("expenses")
    divided = lambda name: pl.when(column(name) != 0).then(column(name))  # noqa: E731
    rows = frame.select(
        *[column(name).cast(pl.Float64) for name in PLAIN],
        column("income").is_null().alias("income=not_stated"),
        column("assets").is_null().alias("assets=not_stated"),
        instalment.alias("instalment"),
        (instalment / divided("income")).alias("burden"),
        surplus.alias("surplus"),
        (surplus - instalment).alias("repayment_capacity"),
        (column("amount") / divided("price")).alias("share_financed"),
        (column("assets") / column("amount")).alias("asset_cover"),
        *[
            (column(name.split("=")[0]) == name.split("=")[1]).alias(name)
            for name in setting.columns
            if name.split("=")[0] in CHOICES
        ],
    )
    matrix = rows.select(setting.columns).fill_null(0).cast(pl.Float32).to_numpy()
    pds = setting.pds(setting.classifier().predict_proba(matrix)[:, 1])
    frame.select("loan_id").with_columns(pl.Series("pd", pds)).write_parquet(out)


def onnx_batches(setting, source, out):
    import pyarrow as pa
    import pyarrow.parquet as pq

    engine, writer = open_engine("onnx", setting.release, setting.cores), None
    for batch in pq.ParquetFile(source).iter_batches(65_536, use_threads=False):
        probabilities = engine.predict_proba(features(batch.to_pandas(), setting.columns).to_numpy())
        table = pa.table({"loan_id": batch["loan_id"], "pd": setting.pds(probabilities)})
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    writer.close()


def xgboost_dask(setting, source, out):
    import dask.dataframe as dd
    import pandas as pd
    import xgboost as xgb
    from dask.distributed import Client, LocalCluster
    from xgboost import dask as dxgb

    fields = dict(zip(setting.release.form.names, setting.release.form.fields, strict=True))
    local = {"n_workers": setting.cores, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**local, memory_limit=0) as cluster, Client(cluster) as client:
        frame = dd.read_parquet(source)
        for name in CHOICES:
            frame[name] = frame[name].astype(pd.CategoricalDtype([choice.code for choice in fields[name].choices]))
        rows = frame.map_partitions(features, setting.columns, meta=features(frame._meta, setting.columns))
        booster = xgb.Booster()
        booster.load_model(str(setting.release.folder / MODEL))
        scores = dxgb.inplace_predict(client, booster, rows).to_frame(name="p").reset_index(drop=True).compute()["p"]
        ids = pd.read_parquet(source, columns=["loan_id"])
        ids.assign(pd=setting.pds(scores.to_numpy())).to_parquet(out)


def duckdb_function(setting, source, out):
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    from inference.book.batches import BatchScorer
    from inference.book.columns import check

    form = setting.release.form
    scorer = BatchScorer(setting.release, open_engine(setting.engine, setting.release))
    schema, names = pq.read_schema(source), form.names

    def pd_of(*columns):
        batch = pa.record_batch([pa.chunked_array(column).combine_chunks() for column in columns], names=list(names))
        return pa.array(scorer.score(check(batch, form).values).pds)

    kinds = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR"}
    space = {"pd_of": pd_of}
    exec(f"def named({', '.join(names)}): return pd_of({', '.join(names)})", space)  # noqa: S102 - our own field names
    database = duckdb.connect()
    database.execute(f"SET threads={setting.cores}")
    kind_of = [kinds[schema.field(name).type] for name in names]
    database.create_function("pd_of", space["named"], kind_of, "DOUBLE", type="arrow", null_handling="special")
    database.execute(f"COPY (SELECT loan_id, pd_of({', '.join(names)}) pd FROM '{source}') TO '{out}' (FORMAT parquet)")  # noqa: S608


def ours(setting, source, out):
    from inference.book.parts import RunFolder
    from inference.book.run import Book, score_book
    from inference.book.sources import Told, open_source

    book = open_source(source, setting.release.form, {}, Told())
    score_book(Book(setting.scorer, book, {}, RunFolder(Path(out), "parquet")), workers=setting.cores)


def opened(setting, source, out):
    """What memory is compared with: the release and its engine, and nothing scored."""


PROGRAMS = (pandas_whole, pandas_chunks, polars_whole, onnx_batches, xgboost_dask, duckdb_function)
IMPORTS = {
    "pandas_whole": ("pandas", "xgboost"), "pandas_chunks": ("pandas", "pyarrow.parquet", "xgboost"),
    "polars_whole": ("polars", "xgboost"), "onnx_batches": ("pandas", "onnxruntime", "pyarrow.parquet"),
    "xgboost_dask": ("dask.dataframe", "distributed", "xgboost.dask"),
    "duckdb_function": ("duckdb", "inference.book.batches", "xgboost"), "ours": ("inference.book.command", "xgboost"),
    "opened": ("xgboost",),
}  # fmt: skip


def main():
    name, release, source, out, engine, cores = sys.argv[1:7]
    import os
    from importlib import import_module

    if name != "opened":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    for module in IMPORTS[name]:
        import_module(module)
    setting = Setting(release, engine, int(cores))
    if name in ("ours", "opened"):
        opened_engine = open_engine(engine, setting.release)
    if name == "ours":
        from inference.book.batches import BatchScorer
        from inference.book.command import use_little_memory

        use_little_memory()
        setting.scorer = BatchScorer(setting.release, opened_engine)
    program = globals()[name]
    began, cpu = time.perf_counter(), time.process_time()
    program(setting, source, out)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of Dask's workers the largest one
    lines = sum(bool(line.strip()) for line in inspect.getsource(program).splitlines()[1:])
    lines += sum(bool(line.strip()) for line in inspect.getsource(features).splitlines()) * (
        "features(" in inspect.getsource(program)
    )
    figures = {"seconds": took, "cpu_seconds": cpu, "peak_mb": max(most_resident(), children) / 1e6, "lines": lines}
    print("\n" + json.dumps(figures), flush=True)
    assert Path(out).exists() or name == "opened"  # noqa: S101


if __name__ == "__main__":
    main()
