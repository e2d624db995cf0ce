# SPDX-License-Identifier: BSD-3-Clause
"""Medians, ratios, targets and tables from the figures of the rounds."""

from statistics import median

import plan

PERCENTILES = ("p50", "p99", "p99.99")


def number(value):
    """Three digits that count: 28.4k, 1.81, 240."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def spread(values, form=number):
    text = form(median(values))
    if len(values) > 1:
        text += f" [{form(min(values))} to {form(max(values))}]"
    return text


def ratio_text(value):
    return f"{value:.2f}x"


class Run:
    """The figures of one mode: run.values[case][peer] = {round: figure}."""

    def __init__(self, mode, values, switches):
        self.mode = mode
        self.values = values
        self.switches = switches

    def figures(self, case, peer):
        return list(self.values.get(case, {}).get(peer, {}).values())

    def ratios(self, case, peer, against):
        """Round by round, for the two were measured next to each other in each."""
        ours = self.values.get(case, {}).get(peer, {})
        theirs = self.values.get(case, {}).get(against, {})
        return [ours[i] / theirs[i] for i in ours if i in theirs]

    def as_results(self):
        """The field "results" of the JSON document."""
        result = []
        for case, peers in self.values.items():
            for peer, by_round in peers.items():
                figures = list(by_round.values())
                entry = {"case": case, "peer": peer, "unit": plan.MODES[self.mode].unit,
                         "values": figures, "median": median(figures),
                         "min": min(figures), "max": max(figures)}
                against = plan.PEERS[peer].reference
                for name, other in (("vduse", against), ("floor", plan.FLOOR)):
                    ratios = self.ratios(case, peer, other)
                    if ratios and other != peer:
                        entry[f"ratio_to_{name}"] = median(ratios)
                switches = list(self.switches.get(case, {}).get(peer, {}).values())
                if switches:
                    entry["context_switches_per_io"] = median(switches)
                result.append(entry)
        return result


def case_table(run, case):
    """One line per peer."""
    lines = []
    for peer in plan.PEERS:
        figures = run.figures(case, peer)
        if not figures:
            continue
        row = [peer, spread(figures)]
        reference = plan.PEERS[peer].reference
        for other in (reference, plan.FLOOR):
            ratios = run.ratios(case, peer, other)
            row.append(spread(ratios, ratio_text) if ratios and other != peer else "-")
        switches = list(run.switches.get(case, {}).get(peer, {}).values())
        row.append(spread(switches, lambda v: f"{v:.2f}") if switches else "-")
        lines.append(row)
    return lines


def print_table(head, rows):
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def print_run(run, settings):
    mode = plan.MODES[run.mode]
    better = "higher" if mode.higher_is_better else "lower"
    print(f"\n{run.mode}: {mode.unit}, {better} is better; median [min to max] of "
          f"{settings['rounds']} rounds of {settings['run_ms']} "
          f"{'virtual ' if run.mode == 'counted' else ''}ms")
    head = ["peer", mode.unit, "to VDUSE, same backing", "to null_blk"]
    if run.switches:
        head.append("context switches per I/O")
    for case in plan.CASES:
        rows = case_table(run, case)
        if rows:
            print(f"\n {plan.CASES[case].text}")
            print_table(head, [row[:len(head)] for row in rows])


def check_targets(runs, overhead):
    """The field "targets": each limit that could be compared with a figure."""
    result = []

    def add(text, value, limit, met):
        result.append({"target": text, "value": value, "limit": limit, "met": met})

    for target in plan.targets():
        run = runs.get(target.mode)
        if not run:
            continue
        if target.against:
            figures = run.ratios(target.case, target.peer, target.against)
            text = f"{target.mode}, {target.case}: {target.peer} to {target.against}"
        else:
            figures = run.figures(target.case, target.peer)
            text = f"{target.mode}, {target.case}: {target.peer}"
        if figures:
            value = median(figures)
            higher = plan.MODES[target.mode].higher_is_better
            add(text, value, target.limit,
                value >= target.limit if higher else value <= target.limit)
    for name, limit, text in (
            ("attach_over_probe_ms", plan.ATTACH_LIMIT_MS, "attach, over the driver's probe, ms"),
            ("kernel_kib", plan.KERNEL_LIMIT_KIB, "kernel memory per disk beside the pool, KiB"),
            ("adapter_kib", plan.ADAPTER_LIMIT_KIB, "resident memory of the adapter, KiB")):
        if name in overhead:
            add(text, overhead[name], limit, overhead[name] <= limit)
    return result


def print_targets(targets):
    if not targets:
        return
    print("\ntargets")
    rows = []
    for target in targets:
        sign = ">=" if target["target"].startswith("timed") else "<="
        rows.append(["met" if target["met"] else "MISSED", target["target"],
                     number(target["value"]), f"{sign} {number(target['limit'])}"])
    print_table(["", "", "measured", "limit"], rows)


def print_overhead(overhead):
    if not overhead:
        return
    print(f"\na device apart from its requests ({overhead['mode']})")
    rows = [[name, number(value)] for name, value in overhead.items() if name != "mode"]
    print_table(["", ""], rows)


def print_latency(latency):
    if not latency:
        return
    print("\nlatency, microseconds (timed)")
    rows = []
    for entry in latency:
        for who in ("floor", "ours"):
            rows.append([entry["what"], who,
                         *(number(entry[who][name]) for name in PERCENTILES)])
        rows.append([entry["what"], "ours to floor",
                     *(ratio_text(entry["ratio"][name]) for name in PERCENTILES)])
    print_table(["", "", *PERCENTILES], rows)


def print_comparison(old, new):
    """What changed since an older document, case by case and peer by peer."""
    print(f"\nagainst {old['revision']} on {old['kernel']}: new median / old median")
    before = {(run["mode"], entry["case"], entry["peer"]): entry["median"]
              for run in old["runs"] for entry in run["results"]}
    rows = []
    for run in new["runs"]:
        for entry in run["results"]:
            key = (run["mode"], entry["case"], entry["peer"])
            if key in before:
                rows.append([*key, number(before[key]), number(entry["median"]),
                             ratio_text(entry["median"] / before[key])])
    print_table(["mode", "case", "peer", "old", "new", "new / old"], rows)
