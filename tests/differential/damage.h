// Faults that are planted in what a good rewriter wrote, each of a sort that a bad one might write.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_DAMAGE_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_DAMAGE_H_

#include "tests/differential/batch.h"

namespace sysrewrite::differential {

// Does what batch.damage says to every stub that it applies to.
void inflict(Image& image, const Batch& batch);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_DAMAGE_H_
