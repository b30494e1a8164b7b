// sysload's own file, known where somebody executes it or names it as an interpreter.
#ifndef SYSREWRITE_LOADER_START_OWN_IMAGE_H_
#define SYSREWRITE_LOADER_START_OWN_IMAGE_H_

#include "trampoline/bytes.h"

namespace sysrewrite {

// Whether a file that begins so holds the image that runs right now; wants its ELF header, and
// compares the program headers as far as they are there. A stripped copy is the same.
bool is_own_image(ByteView start);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_OWN_IMAGE_H_
