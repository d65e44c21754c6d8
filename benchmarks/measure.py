"""Time, peak memory, and facts about the machine. Needs the standard library only."""

import gc
import json
import os
import platform
import subprocess
import sys
import tracemalloc
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter


def timed(function):
    """Result and seconds of one call."""
    gc.collect()
    start = perf_counter()
    result = function()
    return result, perf_counter() - start


def interleaved(functions, repeats):
    """Seconds of each call: every round calls all functions, so that noise meets all alike."""
    for function in functions.values():
        function()
    times = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            times[name].append(timed(function)[1])
    return times


def in_turns(script, arguments, before, processes):
    """What a script prints with ``--raw`` in new processes, with this state and an earlier one.

    ``before`` is the checkout of the earlier state of the package, or None.
    """
    states = {"now": Path(script).parents[1], **({"before": before} if before else {})}
    answers = {state: [] for state in states}
    for _ in range(processes):
        for state, checkout in states.items():
            environment = {**os.environ, "PYTHONPATH": str(checkout)}
            command = [sys.executable, script, *arguments, "--raw"]
            answers[state].append(json.loads(subprocess.check_output(command, env=environment)))
    return answers


def peak_rss(function):
    """Result of one call, and the bytes that the process grew by at its peak (None off Linux)."""
    gc.collect()
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return function(), None
    reset.write_text("5")  # the high-water mark starts anew
    before = _status("VmRSS")
    result = function()
    return result, _status("VmHWM") - before


def peak_process():
    """Bytes of the whole process at its peak so far (None off Linux)."""
    return _status("VmHWM") if Path("/proc/self/status").exists() else None


def peak_allocations(function):
    """Result of one call, and the bytes of Python's and NumPy's allocations at its peak."""
    gc.collect()
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def with_others(function):
    """Result of one call, and how many processors other programs kept busy (None off Linux)."""
    before, own, start = _busy(), _own(), perf_counter()
    result = function()
    if before is None:
        return result, None
    others = (_busy() - before - (_own() - own)) / (perf_counter() - start)
    return result, max(0.0, others)


def _own():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy():
    """Seconds of all processors in all programs, other machines on the same hardware included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, stat.read_text().splitlines()[0].split()[1:]
    )
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def machine(packages):
    """Facts that figures depend on; no names of hosts or paths."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions(packages),
    }


def versions(packages):
    found = {}
    for package in packages:
        try:
            # The distribution is not called as the package that it installs.
            found[package] = version("scikit-recommend" if package == "skrec" else package)
        except PackageNotFoundError:
            found[package] = "(source tree)"
    return found


def _status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no line {field!r}.")


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.machine()
    lines = dict(
        (part.strip() for part in line.split(":", 1))
        for line in cpuinfo.read_text().splitlines()
        if ":" in line
    )
    return f"{lines.get('model name', platform.machine())} family {lines.get('cpu family', '?')}"
