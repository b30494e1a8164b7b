// Random instructions that may stand anywhere in a function: every operand kind, prefixes that mean
// something and prefixes that do not, 1 to 15 bytes.
//
// Three things are left out, since code that does them may tell that it was rewritten (or ends the
// machine), and no rewriter could help it: reading the code's own bytes, changing what the machine
// itself stands on (popf, segment bases, the control of the FPU), and what answers differently each
// time. rcx holds a code address behind a system call, so nothing here reads it as an address or
// copies it.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_FORMS_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_FORMS_H_

#include "tests/differential/program.h"
#include "tests/differential/random.h"

namespace sysrewrite::differential {

struct Palette {
  uint16_t small = 0;     // registers that are likely to hold a small number
  uint16_t pointers = 0;  // registers that are likely to hold an address of the data
  uint64_t data = 0;      // where that lies
  bool absolute = false;  // and whether a disp32 by itself can name it
  bool avx = false, avx2 = false, avx512 = false;
};

Item random_instruction(Random& random, const Palette& palette);

// One of the ways to put a number into eax.
Item load_number(Random& random, uint32_t number);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_FORMS_H_
