#!/bin/sh
# The layers: cli -> rewriter -> trampoline <- loader. Nobody includes what stands above or beside,
# and each package has one door: only these files may include a header of it.
#
#   usage: includes_test.sh SOURCE-DIRECTORY
set -u
cd "${1:?usage: includes_test.sh SOURCE-DIRECTORY}" || exit 1
failures=0

fail() {
  echo "FAIL: $1"
  echo "$2" | head -n 5 | sed 's/^/      /'
  failures=$((failures + 1))
}

# includes DIRECTORY...: "file:line:#include ..." of everything in them.
includes() {
  find "$@" -type f \( -name '*.h' -o -name '*.cc' -o -name '*.c' -o -name '*.S' \) -exec \
    grep -nHE '^[[:space:]]*#[[:space:]]*include' {} +
}

# layer NAME FORBIDDEN: no include of NAME begins with one of the FORBIDDEN directories.
layer() {
  test -d "$1" || { fail "there is no directory $1" ""; return; }
  found=$(includes "$1" | grep -E "include[[:space:]]*[\"<]($2)/")
  if [ -n "$found" ]; then fail "$1 includes $2" "$found"; else echo "ok:   $1 includes none of $2"; fi
}

# door PACKAGE PATTERN FILES: only FILES (a pattern of paths) include a header that matches PATTERN.
door() {
  found=$(includes cli rewriter trampoline loader | grep -E "include[[:space:]]*[\"<]$2" |
    grep -vE "^($3):")
  if [ -n "$found" ]; then fail "$1 outside its door" "$found"; else echo "ok:   $1 behind its door"; fi
  # A door that nobody uses any more is a rule that checks nothing.
  known=$(includes cli rewriter trampoline loader | grep -cE "include[[:space:]]*[\"<]$2")
  if [ "$4" = used ] && [ "$known" = 0 ]; then fail "nothing includes $1" ""; fi
}

layer trampoline 'rewriter|cli|loader|tests|bench'
layer rewriter 'cli|loader|tests|bench'
layer cli 'loader|tests|bench'
layer loader 'rewriter|cli|tests|bench'

door Zydis 'Zydis|Zycore' 'rewriter/decoder\.cc' used
door CLI11 'CLI/' 'cli/[a-z_]*arguments\.cc' used
door LIEF 'LIEF' 'rewriter/[a-z_]*lief[a-z_]*\.cc|rewriter/dependencies\.cc' maybe
door libarchive 'archive' 'rewriter/archive[a-z_]*\.cc|cli/archive[a-z_]*\.cc' maybe
door xxhash 'xxhash' 'trampoline/checksum\.cc' used
door JSON 'nlohmann' 'cli/[a-z_/]*\.cc' used
door nettle 'nettle' 'cli/cache/digest\.cc' used

# verify trusts nothing of the rewriter: the decoders and the formats, and nothing else.
found=$(includes rewriter/verify*.cc rewriter/verify*.h | grep -E 'include[[:space:]]*"' |
  grep -vE 'include[[:space:]]*"(trampoline/|rewriter/decoder\.h|rewriter/(call_frames|dwarf_cursor|frame_writer)\.h|rewriter/verify)')
if [ -n "$found" ]; then fail "verify includes what it judges" "$found"; else echo "ok:   verify stands alone"; fi
[ -f rewriter/verify.cc ] || fail "there is no rewriter/verify.cc" ""

# The loader stands alone: itself, the trampoline's layout, and what a compiler brings along.
found=$(includes loader | grep -E 'include[[:space:]]*"' |
  grep -vE 'include[[:space:]]*"(loader|trampoline)/')
[ -z "$found" ] || fail "loader includes something else of this project" "$found"

[ "$failures" = 0 ] || { echo "$failures rules are broken"; exit 1; }
