#include "tests/differential/damage.h"

#include <algorithm>

#include "rewriter/decoder.h"

namespace sysrewrite::differential {

namespace {

void add32(Bytes& bytes, size_t at, int32_t amount) {
  const auto value = load<int32_t>(bytes, at);
  if (!value || !store(MutableByteView(bytes), at, *value + amount)) std::abort();
}

void move_operands(Image& image, const SiteRecord& site) {
  const Decoder decoder;
  for (uint32_t i = 0; i < site.displaced; ++i) {
    const size_t at = site.stub + image.file.displaced(site, i).copy;
    const auto in = decoder.decode(ByteView(image.trampoline).subspan(at), {at});
    if (in && in->rip_relative()) add32(image.trampoline, at + in->displacement, 8);
  }
}

// The first two of those that stand next to each other in front of the call.
void swap_first(Image& image, const SiteRecord& site) {
  if (site.displaced < 2) return;
  const auto at = [&](uint32_t i) {
    const size_t copy = image.file.displaced(site, i).copy;
    return image.trampoline.begin() + static_cast<std::ptrdiff_t>(site.stub) +
           static_cast<std::ptrdiff_t>(copy);
  };
  const auto end = image.trampoline.begin() + static_cast<std::ptrdiff_t>(site.stub) + site.enter;
  const auto third = site.displaced > 2 ? std::min(at(2), end) : end;
  if (at(1) < end) std::rotate(at(0), at(1), third);
}

}  // namespace

const char* name_of(Damage damage) {
  static constexpr const char* kNames[] = {"none",   "displacement", "swap",  "return",
                                           "rcx",    "entry",        "flags", "redzone",
                                           "vector", "highvector",   "mask",  "rounding"};
  static_assert(std::size(kNames) == static_cast<size_t>(Damage::kCount));
  return kNames[static_cast<size_t>(damage)];
}

void inflict(Image& image, const Batch& batch) {
  const size_t core = stub_core_size(batch.stub, batch.native_tail);
  for (uint32_t i = 0; i < image.file.site_count(); ++i) {
    const SiteRecord site = image.file.site(i);
    if (site.tier == Tier::kNative) continue;
    if (batch.damage == Damage::kDisplacement) move_operands(image, site);
    if (batch.damage == Damage::kSwap) swap_first(image, site);
    if (batch.damage == Damage::kReturn)
      add32(image.trampoline, site.stub + site.stub_size - 4U, 1);
    // The core ends with lea after_syscall(%rip), %rcx.
    if (batch.damage == Damage::kRcx) add32(image.trampoline, site.stub + site.enter + core - 4, 1);
  }
}

}  // namespace sysrewrite::differential
