"""insn-test tests what it is asked to, or says that it does not."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("INSN_TEST") or str(ROOT / "build/insn-test")


def run(*options):
    return subprocess.run([PROGRAM, "--cases", "4", "--mode", "64", *options], capture_output=True, text=True, timeout=60)


def rows(r):
    """Rows tested, of all groups."""
    return sum(int(line.split()[1]) for line in r.stdout.splitlines() if line.startswith("# ") and " rows, " in line)


def test_names_in_either_case():
    lower, upper = run("--only", "bswap"), run("--only", "BSWAP")
    assert lower.returncode == upper.returncode == 0, upper.stderr
    if "1..0 # SKIP" not in upper.stdout:
        assert rows(lower) == rows(upper) == 1
        assert "ok 2 - x87" in upper.stdout and "\n# 0 rows" in upper.stdout


def test_no_such_name():
    r = run("--only", "NOSUCH")
    assert r.returncode == 1 and "NOSUCH" in r.stderr and not r.stdout
    r = run("--only", "cpuid")
    assert r.returncode == 1 and "not tested here" in r.stderr


def test_what_the_host_lacks_is_skipped():
    r = run("--only", "movbe", "--without", "movbe")
    if "1..0 # SKIP" not in r.stdout:
        assert r.returncode == 0 and rows(r) == 0 and "# 2 rows skipped" in r.stdout, r.stdout
    r = run("--without", "nosuch")
    assert r.returncode == 2 and "--without nosuch" in r.stderr
