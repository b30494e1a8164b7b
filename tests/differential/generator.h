// Random functions: instructions around system calls, branches to every place where one may lead,
// and padding of every sort, so that each tier arises.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_GENERATOR_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_GENERATOR_H_

#include "tests/differential/forms.h"

namespace sysrewrite::differential {

// `palette.pointers` is drawn anew.
Function random_function(Random& random, Palette palette);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_GENERATOR_H_
