// Any bytes as a rewritten file. Whoever lies on purpose mends the checksum, so everything that a
// parse lets through is read, whether the checksum holds or not.
#include "trampoline/rewritten_file.h"

using namespace sysrewrite;

namespace {

volatile uint64_t sink;

void read(ByteView bytes) {
  uint64_t sum = 0;
  for (const std::byte byte : bytes) sum += std::to_integer<uint64_t>(byte);
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = RewrittenFile::parse(as_byte_view(data, size));
  if (parsed.status != TrailerStatus::kValid) return 0;
  const RewrittenFile& file = parsed.file;
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    read(file.original_window(site));
    read(file.original_springboard(site));
    for (uint32_t d = 0; d < site.displaced; ++d) sink = file.displaced(site, d).copy;
    sink = file.window_vaddr(site).value + file.stub_vaddr(site).value;
  }
  for (uint32_t i = 0; i < file.edit_count(); ++i) read(file.original_edit(file.edit(i)));
  read(file.trampoline());
  read(file.metadata());
  read(file.options());
  read(file.interpreter());
  sink = file.checksum().value_or(0);
  return 0;
}
