// Mapping an executable as the kernel would.
#ifndef SYSREWRITE_LOADER_START_IMAGE_MAP_H_
#define SYSREWRITE_LOADER_START_IMAGE_MAP_H_

#include "loader/start/elf_image.h"
#include "loader/start/program_file.h"

namespace sysrewrite {

// An image in memory: a runtime address is a vaddr plus the bias, which wraps.
class MappedImage {
 public:
  explicit MappedImage(uint64_t bias) : bias_(bias) {}
  RuntimeAddr at(Vaddr vaddr) const { return {vaddr.value + bias_}; }
  uint64_t bias() const { return bias_; }

 private:
  uint64_t bias_;
};

// Maps all segments of a file whose segments have been checked, and leaves the place of its
// trampoline, if it has one, free. `hint` is where its lowest segment should lie; 0: anywhere.
// Ends the process with a line where something is in the way.
MappedImage map_image(const char* phase, const ProgramFile& file, const ElfImage& image,
                      uint64_t hint);

// What lies where a trampoline belongs.
enum class TrampolinePlace {
  kFree,  // nothing, or else the process ends with a line
  kHeld,  // a reservation of the caller's, all of which is replaced
};

// Maps slot page and stubs of a rewritten file whose image is mapped, and fills the slot. Where
// they are segments of the image, they are mapped already, and the slot's one loses its write
// access.
void map_trampoline(const ProgramFile& file, const MappedImage& image, RuntimeAddr callback,
                    TrampolinePlace place);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_IMAGE_MAP_H_
