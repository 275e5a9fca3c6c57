"""The `devops` queries of the Time Series Benchmark Suite, in InfluxQL as the suite sends them and in SQL for DuckDB.

Owns: the texts, and which hosts and times they ask for (by chance, from a seed). Does not own: who runs them.

Each SQL gives the rows of the InfluxQL: the grouped tags, the time in nanoseconds, the values, in any order.
"""
import datetime, random
from dataclasses import dataclass

import tsbs

HOUR, MINUTE = 3600, 60
TAGS = ("hostname", "region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "service_environment")
# SELECT * gives tags and fields in order of their names.
ALL_COLUMNS = tuple(sorted((*TAGS, *tsbs.FIELDS)))


@dataclass(frozen=True)
class Question:
    """One query with its hosts and times chosen; `keys`: how many grouped tags each series has."""

    influxql: str
    sql: str
    keys: int = 0


@dataclass(frozen=True)
class Query:
    """A kind of query. `is_scan`: it reads much and answers little; it must be far ahead of the peer there."""

    name: str
    make: object
    is_scan: bool = False


class Data:
    """What is asked about: hosts and the stretch of time that have rows."""

    def __init__(self, hosts, start, end):
        self.hosts, self.start, self.end = hosts, start, end

    def stretch(self, chance, seconds):
        """A stretch of time within the data, as long as asked for or as the data; it begins with a row, so that no window is empty."""
        seconds = min(seconds, self.end - self.start)
        start = self.start + chance.randrange((self.end - self.start - seconds) // tsbs.STEP_SECONDS + 1) * tsbs.STEP_SECONDS
        return start, start + seconds

    def some_hosts(self, chance, count):
        return [f"host_{n}" for n in chance.sample(range(self.hosts), min(count, self.hosts))]


def moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def between(start, end):
    return f"time >= '{moment(start)}' and time < '{moment(end)}'"


def sql_between(start, end):
    plain = lambda seconds: moment(seconds).replace("T", " ").rstrip("Z")
    return f"time >= TIMESTAMP_NS '{plain(start)}' and time < TIMESTAMP_NS '{plain(end)}'"


def window(seconds):
    """The start of a row's window, nanoseconds."""
    width = seconds * 10**9
    return f"(epoch_ns(time) // {width}) * {width}"


def of_hosts(hosts):
    return "(" + " or ".join(f"hostname = '{host}'" for host in hosts) + ")"


def single_groupby(metrics, hosts, hours):
    def make(data, chance):
        chosen, (start, end) = data.some_hosts(chance, hosts), data.stretch(chance, hours * HOUR)
        calls = ", ".join(f"max({name})" for name in tsbs.FIELDS[:metrics])
        return Question(
            f"SELECT {calls} from cpu where {of_hosts(chosen)} and {between(start, end)} group by time(1m)",
            f"select {window(MINUTE)} as t, {calls} from cpu where {of_hosts(chosen)} and {sql_between(start, end)} group by t",
        )
    return make


def cpu_max_all(hosts):
    def make(data, chance):
        chosen, (start, end) = data.some_hosts(chance, hosts), data.stretch(chance, 8 * HOUR)
        calls = ", ".join(f"max({name})" for name in tsbs.FIELDS)
        return Question(
            f"SELECT {calls} from cpu where {of_hosts(chosen)} and {between(start, end)} group by time(1h)",
            f"select {window(HOUR)} as t, {calls} from cpu where {of_hosts(chosen)} and {sql_between(start, end)} group by t",
        )
    return make


def double_groupby(metrics):
    def make(data, chance):
        start, end = data.stretch(chance, 12 * HOUR)
        calls = ", ".join(f"mean({name})" for name in tsbs.FIELDS[:metrics])
        return Question(
            f"SELECT {calls} from cpu where {between(start, end)} group by time(1h),hostname",
            f"select hostname, {window(HOUR)} as t, {calls} from cpu where {sql_between(start, end)} group by hostname, t",
            keys=1,
        )
    return make


def high_cpu(hosts):
    def make(data, chance):
        start, end = data.stretch(chance, 12 * HOUR)
        chosen = f" and {of_hosts(data.some_hosts(chance, hosts))}" if hosts else ""
        return Question(
            f"SELECT * from cpu where usage_user > 90.0 and {between(start, end)}{chosen}",
            f"select epoch_ns(time), {', '.join(ALL_COLUMNS)} from cpu where usage_user > 90.0 and {sql_between(start, end)}{chosen}",
        )
    return make


def last_point(data, chance):
    values = [name for name in ALL_COLUMNS if name != "hostname"]
    last = ", ".join(f"arg_max({name}, time)" for name in values)
    return Question(
        'SELECT * from cpu group by "hostname" order by time desc limit 1',
        f"select hostname, epoch_ns(max(time)), {last} from cpu group by hostname",
        keys=1,
    )


def groupby_orderby_limit(data, chance):
    _, end = data.stretch(chance, HOUR)
    return Question(
        f"SELECT max(usage_user) from cpu WHERE time < '{moment(end)}' group by time(1m) limit 5",
        f"select {window(MINUTE)} as t, max(usage_user) from cpu where {sql_between(0, end)} group by t order by t limit 5",
    )


QUERIES = (
    Query("single-groupby-1-1-1", single_groupby(1, 1, 1)),
    Query("single-groupby-1-1-12", single_groupby(1, 1, 12)),
    Query("single-groupby-1-8-1", single_groupby(1, 8, 1)),
    Query("single-groupby-5-1-1", single_groupby(5, 1, 1)),
    Query("single-groupby-5-1-12", single_groupby(5, 1, 12)),
    Query("single-groupby-5-8-1", single_groupby(5, 8, 1)),
    Query("cpu-max-all-1", cpu_max_all(1)),
    Query("cpu-max-all-8", cpu_max_all(8)),
    Query("double-groupby-1", double_groupby(1), is_scan=True),
    Query("double-groupby-5", double_groupby(5), is_scan=True),
    Query("double-groupby-all", double_groupby(10), is_scan=True),
    Query("high-cpu-1", high_cpu(1)),
    Query("high-cpu-all", high_cpu(0), is_scan=True),
    Query("lastpoint", last_point),
    Query("groupby-orderby-limit", groupby_orderby_limit, is_scan=True),
)


def questions(query, data, count, seed):
    """The same questions for everyone: `count` of them, or fewer when there is nothing to choose."""
    made = [query.make(data, random.Random(f"{seed} {query.name} {at}")) for at in range(count)]
    return list(dict.fromkeys(made))
