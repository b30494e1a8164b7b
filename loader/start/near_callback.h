// The callback that passes every call, once more, near the stubs.
#ifndef SYSREWRITE_LOADER_START_NEAR_CALLBACK_H_
#define SYSREWRITE_LOADER_START_NEAR_CALLBACK_H_

#include "loader/start/elf_image.h"
#include "loader/start/image_map.h"

namespace sysrewrite {

// The address of a copy of sysload_callback_pass beside the trampoline of `program`; 0 where none
// could be mapped. The original is good for nothing but being copied.
RuntimeAddr pass_callback_near(const ProgramFile& program, const ElfImage& image,
                               const MappedImage& mapped);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_NEAR_CALLBACK_H_
