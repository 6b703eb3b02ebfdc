"""What the baseline programs share: timed calls, peak memory, and the answers to a driver that lets programs take turns."""
import contextlib
import json
import pathlib
import resource
import sys
import time


def timed(step, count):
    """Seconds of each of count calls."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times


def status_bytes(name):
    """A field of /proc/self/status in bytes, None where there is no such file."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
    except (OSError, StopIteration):
        return None


def resident_now():
    return status_bytes("VmRSS")


def peak_now():
    """Bytes of the greatest resident memory since forget_peak(), or since the start where there is no /proc."""
    return status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak():
    """Starts the peak of resident memory anew (Linux), so that compiling does not count in the steps' peak."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def serve_rounds(step, settings):
    """Says it is ready, then answers each line `run K` with the seconds of K steps, until `quit` or the end of input."""
    print(json.dumps(settings), flush=True)
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) != 2 or words[0] != "run" or not words[1].isdigit():
            print(json.dumps({"error": f"expected `run K` or `quit`, got: {line.strip()}"}), flush=True)
            continue
        cpu_start = time.process_time()
        times = timed(step, int(words[1]))
        print(json.dumps({"seconds": times, "cpu_seconds": time.process_time() - cpu_start, "peak_rss_bytes": peak_now()}), flush=True)
