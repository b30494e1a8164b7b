// Any bytes as the ld.so whose face sysload is given: the file that comes of it is one that our own
// reader takes, says what ld.so's sections say, and is no larger than the two of them.
#include <cstdlib>

#include "cli/batch/interpreter_face.h"
#include "rewriter/elf_image.h"
#include "tests/elf_builder.h"

using namespace sysrewrite;
using namespace sysrewrite::test;

namespace {

Bytes loader() {
  return code_file(hex("b8 27 00 00 00 0f 05 c3")).symbol("_dl_debug_state", kCode, 1).build();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView interpreter = as_byte_view(data, size);
  const Bytes sysload = loader();
  const auto face = with_face_of(interpreter, sysload);
  if (!face) return 0;
  const Bytes file = materialize(sysload, *face);
  const auto before = ElfImage::parse(interpreter), after = ElfImage::parse(file);
  if (!before || !after || before->sections().size() != after->sections().size()) std::abort();
  // The sections' bytes, their headers, and what aligns each of them.
  const uint64_t headers = before->sections().size() * (sizeof(elf::Shdr) + 8);
  if (file.size() > sysload.size() + size + headers + 16) std::abort();
  for (size_t i = 0; i < before->sections().size(); ++i)
    if (before->sections()[i].addr != after->sections()[i].addr) std::abort();
  return 0;
}
