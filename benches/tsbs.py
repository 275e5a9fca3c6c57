"""Line protocol shaped like the `cpu-only` workload of the Time Series Benchmark Suite.

Owns: hosts with ten tags each, ten values a host that walk at random between 0 and 100.

One line is one host at one step of 10 s, and all hosts of a step come before the next step: time moves forward, and
every line is a row of its own. The same seed makes the same bytes.
"""
import random, zlib

TABLE = "cpu"
FIELDS = ("usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq",
          "usage_steal", "usage_guest", "usage_guest_nice")
START_SECONDS = 1_451_606_400  # 2016-01-01
STEP_SECONDS = 10

ZONES = {"us-east-1": "abce", "us-west-1": "ab", "us-west-2": "abc", "eu-west-1": "abc", "eu-central-1": "ab",
         "ap-southeast-1": "ab", "ap-southeast-2": "ab", "ap-northeast-1": "ac", "sa-east-1": "abc"}
SYSTEMS = ("Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10")
ARCHITECTURES = ("x64", "x86")
TEAMS = ("SF", "NYC", "LON", "CHI")
ENVIRONMENTS = ("production", "staging", "test")

# Values are kept as hundredths; a step moves each by at most STRIDE_MAX of them.
VALUE_MAX, STRIDE_MAX = 10_000, 200
STRIDES = range(-STRIDE_MAX, STRIDE_MAX + 1)
CLAMPED = [min(max(value, 0), VALUE_MAX) for value in range(-STRIDE_MAX, VALUE_MAX + STRIDE_MAX + 1)]


def steps(hosts, seed=1, floats=False):
    """Yields the lines of one step after another, without end; `floats`: values such as 58.31 in place of 58i."""
    rng = random.Random(seed)
    tags = [f"{TABLE},{host_tags(rng, host)} " for host in range(hosts)]
    walk = rng.choices(range(VALUE_MAX + 1), k=hosts * len(FIELDS))
    texts = [str(v / 100) if floats else f"{v // 100}i" for v in range(VALUE_MAX + 1)]
    fields = ",".join(f"{name}=%s" for name in FIELDS)
    seconds = START_SECONDS
    while True:
        template = f"%s{fields} {seconds}000000000\n"
        values = iter([texts[value] for value in walk])
        yield [template % line for line in zip(tags, *[values] * len(FIELDS))]
        strides = rng.choices(STRIDES, k=len(walk))
        walk = [CLAMPED[value + stride + STRIDE_MAX] for value, stride in zip(walk, strides)]
        seconds += STEP_SECONDS


def host_tags(rng, host):
    region = rng.choice(list(ZONES))
    return (f"hostname=host_{host},region={region},datacenter={region}{rng.choice(ZONES[region])},rack={rng.randrange(100)},"
            f"os={rng.choice(SYSTEMS)},arch={rng.choice(ARCHITECTURES)},team={rng.choice(TEAMS)},service={rng.randrange(20)},"
            f"service_version={rng.randrange(2)},service_environment={rng.choice(ENVIRONMENTS)}")


def checksum(body, crc=0):
    """CRC-32 of a body and all before it, so that two results can say they were made from the same data."""
    return zlib.crc32(body, crc)
