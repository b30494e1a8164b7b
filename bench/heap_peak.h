// How much memory a piece of this process's own work takes at most.
//
// The kernel's peak (ru_maxrss) counts the pages of a mapped input as well, which cost nothing that
// the page cache does not hold anyway. What rewrite() really takes is what it allocates, and all of
// it is C++ and goes through operator new, which this program replaces: the figure is exact and the
// same in each run. Over-aligned allocations are not seen; the rewriter has none.
#ifndef SYSREWRITE_BENCH_HEAP_PEAK_H_
#define SYSREWRITE_BENCH_HEAP_PEAK_H_

#include <cstdint>

namespace sysrewrite::bench {

// From here on allocations are counted, in all threads; never stopped again. Costs time, so do not
// measure any in the same process.
void count_heap();

// Bytes that lived at once at most, beyond those that lived when counting began.
uint64_t heap_peak();

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_HEAP_PEAK_H_
