# Runs the workloads named, or all, in the guest and prints "bench NAME SECONDS" lines: read by scripts/bench.
now() { cut -d' ' -f1 /proc/uptime; }
wanted() { [ -z "$names" ] || case " $names " in *" $1 "*) ;; *) return 1 ;; esac; }
time_of() {
    name=$1
    shift
    wanted "$name" || return 0
    t0=$(now)
    "$@" >/dev/null
    awk -v n="$name" -v a="$t0" -v b="$(now)" 'BEGIN { printf "bench %s %.2f\n", n, b - a }'
}
names="$*"
if wanted gzip || wanted sha256; then
    awk 'BEGIN { srand(7); for (i = 0; i < 200000; i++) printf "%d line %x\n", i, int(rand() * 1e9) }' > /tmp/text
    for i in 1 2 3 4 5 6 7 8; do cat /tmp/text; done > /tmp/big
fi
time_of gzip gzip -c /tmp/text
time_of sha256 sha256sum /tmp/big
time_of interpreter awk 'BEGIN { for (i = 0; i < 100000; i++) { s = s * 3 + i; if (s > 65536) s = s - 65536; a[i] = s } print s }'
kernels "$@"
