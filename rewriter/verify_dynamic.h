// verify: how much ld.so reads of the tables that the dynamic section leads to, whatever section
// headers say of them.
#ifndef SYSREWRITE_REWRITER_VERIFY_DYNAMIC_H_
#define SYSREWRITE_REWRITER_VERIFY_DYNAMIC_H_

#include "rewriter/verify_image.h"

namespace sysrewrite {

// Bytes of the table that sections of this type (SHT_HASH, SHT_GNU_HASH, SHT_DYNSYM) hold; all
// there can be where the file does not hold it whole.
uint64_t bytes_that_are_read(const OriginalImage& original, uint32_t section_type);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_DYNAMIC_H_
