#!/bin/sh
# sysload runs before anything else does, inside other people's processes. This checks, on the very
# binary that is shipped, that it depends on nothing: no interpreter, no library, no undefined
# symbol, no relocation, no thread-local storage, no constructors; no segment both writable and
# executable; no vector registers in its code; and that it stays small.
#
#   usage: loader_is_freestanding.sh SYSLOAD
set -u
loader=${1:?usage: loader_is_freestanding.sh SYSLOAD}
# The hooks that come with it are in it, with the names and tables that they need.
size_ceiling=393216
failures=0

for tool in readelf objdump strip; do
  command -v "$tool" >/dev/null || { echo "FAIL: $tool is not installed (binutils)"; exit 1; }
done
test -x "$loader" || { echo "FAIL: there is no $loader"; exit 1; }

# check WHAT COMMAND...: the command's output must be empty.
check() {
  what=$1
  shift
  if ! found=$("$@" 2>&1); then
    echo "FAIL: $what: the check itself failed: $found"
    failures=$((failures + 1))
  elif [ -n "$found" ]; then
    echo "FAIL: $what"
    echo "$found" | head -n 5 | sed 's/^/      /'
    failures=$((failures + 1))
  else
    echo "ok:   $what"
  fi
}

segments() { LC_ALL=C readelf -lW "$loader"; }
sections() { LC_ALL=C readelf -SW "$loader"; }
symbols() { LC_ALL=C readelf -sW "$loader"; }
dynamic() { LC_ALL=C readelf -dW "$loader"; }
code() { LC_ALL=C objdump -d --no-show-raw-insn "$loader"; }

not_position_independent() { LC_ALL=C readelf -hW "$loader" | grep -q 'Type: *DYN' || echo "not ET_DYN"; }
interpreter() { segments | grep -w INTERP || true; }
needed() { dynamic | grep -E 'NEEDED|TEXTREL|INIT|FINI' || true; }
undefined() { symbols | awk '$7 == "UND" && $8 != ""'; }
relocations() { LC_ALL=C readelf -rW "$loader" | grep -v 'There are no relocations' | grep . || true; }
thread_local() { { segments | grep -w TLS; symbols | awk '$4 == "TLS"'; } || true; }
constructors() { sections | grep -E '\.(init|fini|preinit)(_array)?\b|\.ctors|\.dtors' || true; }
writable_code() { segments | awk '$1 == "LOAD" && /RWE/'; }
executable_stack() { segments | awk '$1 == "GNU_STACK" && / RWE /'; segments | grep -q GNU_STACK || echo "no PT_GNU_STACK"; }
without_relro() { segments | grep -q GNU_RELRO || echo "no PT_GNU_RELRO"; }
# But where those of a program are kept for it: vectors.S.
vector_registers() {
  code | awk '/^[0-9a-f]+ </ { keeps = $0 ~ /<sysload_(save|restore)_[xyz]mm>/ } !keeps' | grep -E '%[xyz]mm[0-9]|%st\(|%mm[0-7]' || true
}
# A test that cannot fail is a defect: the disassembly must at least show the system calls.
no_code() { code | grep -qw syscall || echo "no syscall instruction found"; }
too_large() {
  stripped=$(mktemp) || return 1
  strip -o "$stripped" "$loader" || return 1
  size=$(stat -c %s "$stripped")
  rm -f "$stripped"
  [ "$size" -le "$size_ceiling" ] || echo "$size bytes stripped"
}

check "is position-independent" not_position_independent
check "names no interpreter" interpreter
check "needs no library, no text relocation, no init or fini" needed
check "has no undefined symbol" undefined
check "has no relocation" relocations
check "has no thread-local storage" thread_local
check "has no constructors or destructors" constructors
check "has no segment both writable and executable" writable_code
check "asks for a stack that is not executable" executable_stack
check "has a RELRO segment" without_relro
check "holds code that can be read here" no_code
check "uses no vector, MMX or x87 register" vector_registers
check "is no larger than $size_ceiling bytes stripped" too_large

[ "$failures" -eq 0 ] || { echo "$failures of the checks failed"; exit 1; }
echo "sysload is freestanding"
