#!/bin/bash
# stress.sh threads|vfork|signals: the stress programs, rewritten, many times in a row, with both libcs
# and without hook, counted, and with a hook around each call: 10,000 threads created and joined, 10,000 vforks, 100,000 signals during
# system calls, 20 times in a row with SYSREWRITE_TEST_FULL=1; fewer otherwise. A round that does not
# end within ten minutes hangs, and fails.
set -euo pipefail

kind=$1
: "${SYSREWRITE:?}" "${SYSLOAD:?}" "${FIXTURES:?}"

full_count() { case $1 in threads | vfork) echo 10000 ;; signals) echo 100000 ;; esac; }
expected() {
  case $1 in
    threads) echo "$2 threads created and joined" ;;
    vfork) echo "$2 vforks" ;;
    signals) echo "$2 signals during system calls" ;;
  esac
}

count=$(full_count "$kind")
rounds=20
if [ "${SYSREWRITE_TEST_FULL:-}" != 1 ]; then
  count=$((count / 10))
  rounds=3
fi

place=$(mktemp -d -t sysrewrite-stress-XXXXXX)
trap 'rm -rf "$place"' EXIT
passed=0 failed=0

round() { # hook program number
  local status=0 output
  output=$(SYSLOAD_HOOK=$1 timeout -k 10 600 "$place/$2" "$count" 2> "$place/errors") || status=$?
  if [ "$status" = 0 ] && [ "$output" = "$(expected "$kind" "$count")" ]; then
    return 0
  fi
  echo "FAILED: $2 $count under $1, round $3 of $rounds: status $status$(
    [ "$status" -ge 124 ] && [ "$status" -lt 128 ] && echo ' (it hung)')"
  echo "    $output"
  sed 's/^/    /' "$place/errors" | tail -n 5
  return 1
}

for libc in musl glibc glibcpie; do
  program=${libc}_stress_$kind
  if ! "$SYSREWRITE" --quiet --interp "$SYSLOAD" "$FIXTURES/$program" "$place/$program"; then
    echo "FAILED: $program is rewritten"
    failed=$((failed + 1))
    continue
  fi
  for hook in none count pass:entry:exit; do
    good=0
    for ((i = 1; i <= rounds; ++i)); do
      if round "$hook" "$program" "$i"; then good=$((good + 1)); else break; fi
    done
    if [ "$good" = "$rounds" ]; then
      echo "ok: $program $count under $hook, $rounds times in a row"
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" = 9 ]
