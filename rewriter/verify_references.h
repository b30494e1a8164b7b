// Who refers to bytes of the original by their address, as verify finds it.
#ifndef SYSREWRITE_REWRITER_VERIFY_REFERENCES_H_
#define SYSREWRITE_REWRITER_VERIFY_REFERENCES_H_

#include <vector>

#include "rewriter/decoder.h"
#include "rewriter/verify_image.h"

namespace sysrewrite {

struct LostBytes {
  uint64_t from, to;  // addresses; exclusive
  // Within them, what may be meant by its address; empty: each byte.
  std::vector<uint64_t> meant = {};
};

// Neither code nor data nor a relocation may lead to where bytes are lost. What headers and dynamic
// section say of them is no matter of this: both are read again after the rewriting, and compared.
void verify_references(const OriginalImage& original, const Decoder& decoder,
                       const std::vector<LostBytes>& lost, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_REFERENCES_H_
