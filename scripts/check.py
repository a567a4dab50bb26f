#!/usr/bin/python3
"""Builds Kestrel and runs all its tests.

usage: scripts/check [--sanitize] [--long] [--build DIR] [TEST...]

  --sanitize   build under AddressSanitizer and UndefinedBehaviorSanitizer
  --long       also the tests that take minutes: boots from every medium with every size, a hundred boots in a row (KESTREL_BOOTS:
               how many)
  --build DIR  build folder (default: build, or build-asan with --sanitize)
  TEST         names or suites of meson tests; default: all of them

Exit status 0 when everything passed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATIC_CHECKS = ["scripts/check-includes"]


def run(*cmd, env=None):
    print("+", *cmd, flush=True)
    return subprocess.run(cmd, cwd=ROOT, env=env).returncode == 0


def summary(build):
    """Counts of the last `meson test`, by its own log."""
    passed = failed = skipped = 0
    log = ROOT / build / "meson-logs/testlog.json"
    for line in log.read_text().splitlines():
        test = json.loads(line)
        subtests = [t for t in (test.get("stdout") or "").splitlines()
                    if t.startswith(("ok ", "not ok "))]
        bad = sum(t.startswith("not ok") for t in subtests)
        skip = sum(t.startswith("ok ") and "# SKIP" in t.upper() for t in subtests)
        if test["result"] == "SKIP":
            skipped += 1
        elif test["result"] not in ("OK", "EXPECTEDFAIL"):
            failed += max(1, bad)
            print(f"FAILED: {test['name']} ({test['result']})")
            print((test.get("stdout") or "")[-4000:])
            print((test.get("stderr") or "")[-4000:])
        else:
            passed += max(1, len(subtests) - skip)
            skipped += skip
            for t in subtests:
                if "# SKIP" in t.upper():
                    print(f"skipped: {test['name']}: {t}")
    return passed, failed, skipped


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--sanitize", action="store_true")
    ap.add_argument("--long", action="store_true")
    ap.add_argument("--build")
    ap.add_argument("tests", nargs="*")
    args = ap.parse_args()
    build = args.build or ("build-asan" if args.sanitize else "build")

    env = dict(os.environ)
    env.setdefault("CC", "ccache gcc")
    env.setdefault("CCACHE_DIR", str(pathlib.Path.home() / ".cache/ccache"))
    env["ASAN_OPTIONS"] = "detect_stack_use_after_return=0:" + env.get("ASAN_OPTIONS", "")
    env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1:" + env.get("UBSAN_OPTIONS", "")
    multiplier = ["--timeout-multiplier", "6"] if args.long else []
    if args.long:
        env["KESTREL_LONG"] = "1"
    options = ["-Db_sanitize=address,undefined", "-Db_lundef=false"] if args.sanitize else []
    if not (ROOT / build / "build.ninja").exists():
        if not run("meson", "setup", build, *options, env=env):
            return 1
    if not run("ninja", "-C", build, env=env):
        return 1
    failed_checks = [c for c in STATIC_CHECKS if not run(c)]
    log = ROOT / build / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    run("meson", "test", "-C", build, "--quiet", "--num-processes", "2", *multiplier, *args.tests, env=env)
    if not log.exists():
        print("no test ran; meson test -C", build, "--list shows their names")
        return 1
    passed, failed, skipped = summary(build)
    passed += len(STATIC_CHECKS) - len(failed_checks)
    failed += len(failed_checks)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
