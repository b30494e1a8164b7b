// Started as a command: choosing, as the kernel would, where program and heap lie.
#ifndef SYSREWRITE_LOADER_START_PLACEMENT_H_
#define SYSREWRITE_LOADER_START_PLACEMENT_H_

#include "loader/start/elf_image.h"
#include "loader/start/image_map.h"
#include "loader/start/program_file.h"
#include "loader/start/stack_view.h"

namespace sysrewrite {

struct Placement {
  uint64_t image_hint;  // for the lowest segment of an image that may lie anywhere
  uint64_t heap_gap;    // bytes between the last segment and the heap
};

Placement choose_placement(const StackView& stack);

uint64_t heap_start(const ProgramFile& program, const ElfImage& image, const MappedImage& mapped,
                    const Placement& placement);

// Makes the auxiliary vector that of the program, where the kernel wrote sysload's.
void mend_for_command(StackView& stack, const ElfImage& image, const MappedImage& mapped,
                      const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_PLACEMENT_H_
