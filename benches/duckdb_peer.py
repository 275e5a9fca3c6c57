"""DuckDB in this process, over the Parquet segments that a Tidegate's store holds."""
import os, time

try:
    import duckdb
except ImportError:
    duckdb = None


class DuckDb:
    """A view `cpu` over links to the segments that there are now: later merges do not matter to it."""

    name, title = "duckdb", "DuckDB"

    def __init__(self, gate, folder):
        folder.mkdir()
        segments = sorted((gate.data / "store" / "data").rglob("*.parquet"))
        for at, segment in enumerate(segments):
            os.link(segment, folder / f"{at}.parquet")
        self.folder, self.segments, self.connection = folder, len(segments), None
        self.start()

    def version(self):
        return duckdb.__version__

    def start(self):
        self.connection = duckdb.connect()
        self.connection.execute(f"create view cpu as select * from read_parquet('{self.folder}/*.parquet')")

    def stop(self):
        self.connection.close()

    def rows(self, question):
        return self.connection.execute(question.sql).fetchall()

    def count_rows(self):
        return self.connection.execute("select count(*) from cpu").fetchone()[0]

    def seconds(self, question):
        """Until the whole answer is there, as columns."""
        start = time.perf_counter()
        self.connection.sql(question.sql).to_arrow_table()
        return time.perf_counter() - start
