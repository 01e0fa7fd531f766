"""The table of tests/bench/run.sh, from its JSON lines: medians, and the ratio to the limit.

A ratio is the median of the ratios of each repetition, because what is compared ran within the same minute. Of
costs it is limit / gateway, of rates gateway / limit: 1 is the limit, more is better. Where an older gateway was
measured in turn with this one, a sentence says of each scenario whether something was lost.
"""

import json
import statistics
import sys

# Of a scenario's figures: name, heading, by what to divide, digits.
LOAD = [
    ("deliveries_per_s", "deliv/s", 1, 0),
    ("server_cpu_us_per_delivery", "CPU us", 1, 3),
    ("server_cpu_percent", "CPU %", 1, 0),
    ("client_cpu_us_per_delivery", "bench us", 1, 3),
    ("deliveries_per_read", "per read", 1, 1),
    ("bytes_per_delivery", "bytes", 1, 0),
    ("latency_p50_us", "p50 ms", 1000, 2),
    ("latency_p99_us", "p99 ms", 1000, 2),
    ("server_resident_end_bytes", "MB end", 1e6, 1),
    ("slow_closed", "cut", 1, 0),
]
OPENING = [
    ("opened_per_s", "opened/s", 1, 0),
    ("opening_cpu_us", "CPU us", 1, 2),
    ("resident_bytes", "MB", 1e6, 1),
    ("resident_bytes_per_connection", "B/conn", 1, 0),
]


LOSS = 0.97  # below it in the median: what repetitions of the same gateway differ by on a quiet machine
MOST = 0.75  # of the pairs


def read(path):
    """Figures by scenario and run, in the order in which they came."""
    runs = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            runs.setdefault(row["scenario"], {}).setdefault(row["run"], []).append(row["figures"])
    return runs


def median(figures, name):
    values = [f[name] for f in figures if f.get(name) is not None]
    return statistics.median(values) if values else None


def ratios_of(gateway, limit, name, of_costs):
    """One for each repetition in which both have the figure."""
    ratios = []
    for mine, other in zip(gateway, limit):
        top, bottom = (other, mine) if of_costs else (mine, other)
        if top.get(name) and bottom.get(name):
            ratios.append(top[name] / bottom[name])
    return ratios


def ratio(gateway, limit, name, of_costs):
    """Median over the repetitions; None where a figure is missing."""
    ratios = ratios_of(gateway, limit, name, of_costs)
    return statistics.median(ratios) if ratios else None


def is_loss(ratios):
    """Worse in the median, and in so many pairs that a busy minute does not explain it."""
    worse = sum(r < 1 for r in ratios)
    return bool(ratios) and statistics.median(ratios) < LOSS and worse >= MOST * len(ratios)


def figures_of(scenario):
    """The columns, and which of them are cost and rate."""
    if scenario.startswith("open"):
        return OPENING, "opening_cpu_us", OPENING[0][0]
    return LOAD, "server_cpu_us_per_delivery", LOAD[0][0]


def losses(scenario, targets):
    """A sentence for each figure in which this gateway is worse than the one before."""
    _, cost, rate = figures_of(scenario)
    for name, of_costs, what in ((cost, True, "CPU"), (rate, False, "the rate")):
        ratios = ratios_of(targets.get("gateway", []), targets.get("before", []), name, of_costs)
        if is_loss(ratios):
            now = 1 / statistics.median(ratios) if of_costs else statistics.median(ratios)
            yield (f"{scenario}: a loss: {what} is {now:.2f} times what it was, worse in "
                   f"{sum(r < 1 for r in ratios)} of {len(ratios)} pairs")


def cell(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def print_scenario(scenario, targets):
    columns, cost, rate = figures_of(scenario)
    heads = [head for _, head, _, _ in columns] + ["cost ratio", "rate ratio", "p99 ratio"]
    print(f"\n{scenario:<18}" + "".join(f"{head:>11}" for head in heads))
    for target, figures in sorted(targets.items(), key=lambda item: item[0] != "gateway"):
        cells = []
        for name, _, unit, digits in columns:
            value = median(figures, name)
            cells.append(cell(None if value is None else value / unit, digits))
        mine = targets.get("gateway", [])
        compared = [] if target == "gateway" else [
            ratio(mine, figures, cost, True), ratio(mine, figures, rate, False),
            ratio(mine, figures, "latency_p99_us", True)]
        print(f"{target:<18}" + "".join(f"{c:>11}" for c in cells + [cell(r, 3) for r in compared]))


def main():
    runs = read(sys.argv[-1])
    lost = [sentence for scenario, targets in runs.items() for sentence in losses(scenario, targets)]
    for scenario, targets in runs.items():
        print_scenario(scenario, targets)
    print("\nRatios stand beside what the gateway is compared with: 1 is as good, more is better.")
    for sentence in lost:
        print(sentence)
    return 1 if lost and "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
