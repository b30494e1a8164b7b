// Dead padding: where a springboard may stand.
//
// A run of nops or int3 is dead where nothing runs into it and nothing goes there: it follows an
// instruction that cannot fall through (a call does not count, it may return), and no function,
// label or symbol starts in it. Whether a branch or a pointer leads into it is the evidence's to
// say. A run must also end at an aligned address, as padding in front of a label does: nops that
// end elsewhere may be a case of a jump table, which no scan finds. And it must not lie in a
// function that computes where it goes from a label of its own: the label of a loop, too, may stand
// in front of the padding, not behind it (`l1: do ... while (x);` and goto *(&&l0 + table[i])).
#ifndef SYSREWRITE_REWRITER_PADDING_H_
#define SYSREWRITE_REWRITER_PADDING_H_

#include <vector>

#include "rewriter/code_reader.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

// Runs of at least 5 bytes around a site, ascending.
std::vector<Range> find_dead_padding(const Neighborhood& around, const FunctionIndex& functions,
                                     CodeReader& reader);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PADDING_H_
