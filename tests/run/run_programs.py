"""Real programs under `sysrewrite run`, each compared with itself natively. One case per ctest."""
import sys

import comparison
import basic_cases
import cache_cases
import debugger_cases
import exec_cases
import exhaustive_cases
import inheritance_cases
import job_cases
import language_cases
import library_cases
import lock_cases
import mapping_cases
import name_cases
import network_cases
import process_cases
import rewriter_cases
import server_cases
import signal_cases
import tree_cases

CASES = {}
for module in (basic_cases, cache_cases, debugger_cases, exec_cases, exhaustive_cases, inheritance_cases, job_cases,
               language_cases, library_cases, lock_cases, mapping_cases, name_cases, network_cases, process_cases, rewriter_cases,
               server_cases, signal_cases, tree_cases):
    for name, function in vars(module).items():
        if name.startswith("case_"):
            CASES[name[len("case_"):]] = function

if __name__ == "__main__":
    sys.exit(comparison.main(CASES))
