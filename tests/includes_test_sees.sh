#!/bin/sh
# A rule that cannot fail is none: breaks each rule of includes_test.sh in a small tree of its own and
# expects to be told.
#
#   usage: includes_test_sees.sh INCLUDES-TEST
set -u
test_script=${1:?usage: includes_test_sees.sh INCLUDES-TEST}
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
failures=0

good_tree() {
  rm -rf "$tree"/*
  mkdir -p "$tree/cli/cache" "$tree/rewriter" "$tree/trampoline" "$tree/loader"
  echo '#include <CLI/CLI.hpp>' >"$tree/cli/arguments.cc"
  echo '#include <nlohmann/json.hpp>' >"$tree/cli/report_text.cc"
  echo '#include <nettle/sha2.h>' >"$tree/cli/cache/digest.cc"
  echo '#include <Zydis/Zydis.h>' >"$tree/rewriter/decoder.cc"
  echo '#include "rewriter/decoder.h"' >"$tree/rewriter/verify.cc"
  echo '#include "rewriter/verify.h"' >"$tree/rewriter/verify_site.h"
  echo '#include <xxhash.h>' >"$tree/trampoline/checksum.cc"
  echo '#include "trampoline/layout.h"' >"$tree/loader/main.cc"
}

# sees FILE INCLUDE: with that line in that file the test must fail.
sees() {
  good_tree
  printf '%s\n' "$2" >>"$tree/$1"
  if sh "$test_script" "$tree" >/dev/null; then
    echo "FAIL: '$2' in $1 goes unseen"
    failures=$((failures + 1))
  fi
}

good_tree
sh "$test_script" "$tree" || { echo "FAIL: the good tree is refused"; exit 1; }
sees trampoline/layout.h '#include "rewriter/plan.h"'
sees trampoline/layout.h '#include "cli/arguments.h"'
sees trampoline/stub.cc '# include "loader/main.h"'
sees rewriter/plan.h '#include "cli/arguments.h"'
sees rewriter/plan.h '  #include "loader/main.h"'
sees cli/main.cc '#include "loader/main.h"'
sees cli/main.cc '#include "tests/rewrites.h"'
sees loader/entry.S '#include "rewriter/plan.h"'
sees loader/main.h '#include "bench/clock.h"'
sees loader/main.cc '#include "hooks/hooks.h"'
sees rewriter/decoder.h '#include <Zydis/Zydis.h>'
sees rewriter/plan.cc '#include <Zycore/Types.h>'
sees cli/arguments.h '#include <CLI/CLI.hpp>'
sees rewriter/elf_image.h '#include <LIEF/ELF.hpp>'
sees rewriter/output.h '#include <archive.h>'
sees rewriter/output.cc '#include <xxhash.h>'
sees cli/report_text.h '#include <nlohmann/json.hpp>'
sees cli/cache/entry.cc '#include <nettle/hmac.h>'
sees rewriter/verify.cc '#include "rewriter/plan.h"'
sees rewriter/verify_site.h '#include "rewriter/elf_image.h"'
[ "$failures" = 0 ]
