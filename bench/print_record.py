"""The benchmark suite's figures as a terminal shows them."""
from sides import OURS

MEBIBYTE = 2**20


def title(case):
    return f"{case['mode']} {case['size']} px batch {case['batch']} {case['type']}"


def print_speed(cases):
    print(f"\n{'case':<30}{'side':<26}{'images/s':>10}{'best':>9}{'peak MiB':>10}{'ratio':>8}")
    for case in cases:
        ours = case["sides"][OURS].get("images_per_second_median")
        for name, side in case["sides"].items():
            if "absent" in side:
                print(f"{title(case):<30}{name:<26}  {side['absent']}")
                continue
            ratio = f"{ours / side['images_per_second_median']:.2f}" if ours and name != OURS else ""
            print(f"{title(case):<30}{name:<26}{side['images_per_second_median']:>10.2f}{side['images_per_second_best']:>9.2f}"
                  f"{side['peak_rss_bytes'] / MEBIBYTE:>10.0f}{ratio:>8}")
        if case["ratio"] is not None:
            print(f"{'':<30}{'against ' + case['best_peer']:<26}{'':>29}{case['ratio']:>8.2f}")


def print_memory(cases):
    print(f"\n{'case':<30}{'side':<32}{'peak MiB':>10}{'share':>8}")
    for case in cases:
        ours = case["sides"][OURS]
        for name, side in case["sides"].items():
            if "absent" in side:
                print(f"{title(case):<30}{name:<32}  {side['absent']}")
                continue
            share = f"{ours['peak_rss_bytes'] / side['peak_rss_bytes']:.2f}" if name != OURS and "absent" not in ours else ""
            print(f"{title(case):<30}{name:<32}{side['peak_rss_bytes'] / MEBIBYTE:>10.0f}{share:>8}")
        if "arena_bytes" in ours:
            print(f"{'':<30}arena {ours['arena_bytes'] / MEBIBYTE:.0f} MiB, {ours['arena_bytes'] / ours['arena_lower_bound_bytes']:.3f} of the "
                  "largest live set")


def print_predict(cases):
    for case in cases:
        print(f"\n{case['photograph']} ({case['pixels'][0]}x{case['pixels'][1]}) from start to mask:")
        for name, side in case["sides"].items():
            print(f"  {name:<24}{side['seconds_median'] * 1e3:>8.0f} ms, {side['seconds_best'] * 1e3:.0f} at best")
        print(f"  PyTorch takes {case['ratio']:.1f} times as long; {case['equal_share']:.2%} of the pixels are equal")


def print_frozen(cases):
    for case in cases:
        print(f"\n{title(case)}")
        for name, side in case["sides"].items():
            print(f"  {name:<44}{side['images_per_second_median']:>10.2f} images/s, {side['images_per_second_best']:>7.2f} at best,"
                  f"{side['time_share']:>7.1%} of the time")


def print_scaling(points):
    print(f"\n{'axis':<10}{'case':<30}{'threads':>8}{'images/s':>10}{'best':>9}")
    for point in points:
        print(f"{point['axis']:<10}{title(point):<30}{point['threads']:>8}{point['images_per_second_median']:>10.2f}"
              f"{point['images_per_second_best']:>9.2f}")


def ratios_of(record):
    """(what, case, against what, ratio, day) of everything in a record that compares, part by part."""
    def day(case):
        return case.get("measured", {}).get("date", "-")

    for part in ("train", "inference"):
        for case in record.get(part, {}).get("cases", []):
            if case["ratio"] is not None:
                yield "times as fast", title(case), case["best_peer"], case["ratio"], day(case)
    for case in record.get("memory", {}).get("cases", []):
        if case["ratio"] is not None:
            yield "share of the memory", title(case), case["best_peer"], case["ratio"], day(case)
    for case in record.get("predict", {}).get("cases", []):
        yield "times as fast", f"predict {case['photograph']}", "pytorch", case["ratio"], day(case)
    for case in record.get("frozen", {}).get("cases", []):
        for name, side in case["sides"].items():
            if name != "nothing frozen":
                yield "share of the time", f"{title(case)}, {name}", "nothing frozen", side["time_share"], day(case)
    on_threads = [point for point in record.get("scaling", {}).get("cases", []) if point["axis"] == "threads"]
    alone = {title(point): point["images_per_second_median"] for point in on_threads if point["threads"] == 1}
    for point in on_threads:
        if point["threads"] > 1 and title(point) in alone:
            ratio = point["images_per_second_median"] / alone[title(point)]
            yield "times as fast", f"{title(point)}, {point['threads']} threads", "1 thread", ratio, day(point)


def print_ratios(record):
    """All ratios of the record, those of parts that were measured earlier too."""
    rows = list(ratios_of(record))
    if not rows:
        return
    width = max(len(case) for _, case, _, _, _ in rows)
    against = max(len("against"), *(len(peer) for _, _, peer, _, _ in rows))
    print(f"\nall ratios of this machine's record\n{'Dermatome':<{width}}  {'against':<{against}}{'ratio':>8}  {'means':<20}  measured")
    for meaning, case, peer, ratio, date in rows:
        print(f"{case:<{width}}  {peer:<{against}}{ratio:>8.2f}  {meaning:<20}  {date}")


def print_part(part, cases):
    printers = {"memory": print_memory, "predict": print_predict, "frozen": print_frozen, "scaling": print_scaling}
    printers.get(part, print_speed)(cases)
