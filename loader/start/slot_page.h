// What sysload writes into the page of a trampoline's slot.
#ifndef SYSREWRITE_LOADER_START_SLOT_PAGE_H_
#define SYSREWRITE_LOADER_START_SLOT_PAGE_H_

#include <cstddef>
#include <cstdint>

#include "loader/abi.h"
#include "loader/label.h"

namespace sysrewrite {

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_special[];

struct SlotPage {
  uint64_t callback;
  uint64_t special;  // read by sysload_callback_pass: where it leads what it does not pass
};

static_assert(offsetof(SlotPage, special) == SYSLOAD_SLOT_SPECIAL);

inline SlotPage slot_page(uint64_t callback) {
  return {callback, address(sysload_special)};
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_SLOT_PAGE_H_
