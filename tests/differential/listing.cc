#include <fmt/format.h>

#include "rewriter/decoder.h"
#include "tests/differential/shrink.h"
#include "trampoline/reason.h"

namespace sysrewrite::differential {

namespace {

class Lister {
 public:
  explicit Lister(uint64_t bias) : bias_(bias) {}

  void title(const std::string& text) { out_ += "  " + text + "\n"; }

  // Instructions of [at, at + bytes), an address of the file.
  void code(ByteView bytes, uint64_t at) {
    while (!bytes.empty()) {
      const auto in = decoder_.decode(bytes, {at});
      const size_t size = in ? in->length : 1;
      const std::string text = decoder_.format(bytes.first(size), {at + bias_});
      out_ +=
          fmt::format("    {:x}  {:<32} {}\n", at + bias_, test::to_hex(bytes.first(size)), text);
      bytes = bytes.subspan(size);
      at += size;
    }
  }

  std::string take() { return std::move(out_); }

 private:
  Decoder decoder_;
  uint64_t bias_;
  std::string out_;
};

}  // namespace

std::string listing(const Batch& batch, size_t index) {
  const auto built = build(batch);
  if (!std::holds_alternative<Image>(built)) return "  (no image)\n";
  const auto& image = std::get<Image>(built);
  const Placed& placed = image.functions[index];
  const uint64_t from = placed.vaddr, to = from + placed.laid.bytes.size();
  Lister out(image.bias);
  out.title(fmt::format("before (data at {:#x}, a jump to {:#x} ends the function):",
                        image.around.data, image.around.exit));
  out.code(placed.laid.bytes, from);
  const ByteView after = image.after;
  for (uint32_t i = 0; i < image.file.site_count(); ++i) {
    const SiteRecord site = image.file.site(i);
    const uint64_t window = image.file.window_vaddr(site).value;
    if (window < from || window >= to) continue;
    out.title(fmt::format("tier {}: {}", static_cast<char>(site.tier),
                          reason_text(static_cast<Reason>(site.reason))));
    out.code(after.subspan(window - image.code, site.window), window);
    if (site.springboard != kNoSpringboard) {
      const uint64_t board = image.file.meta().base_vaddr + site.springboard;
      out.title("springboard:");
      out.code(after.subspan(board - image.code, kSpringboardSize), board);
    }
    if (site.tier == Tier::kNative) continue;
    out.title("stub:");
    out.code(ByteView(image.trampoline).subspan(site.stub, site.stub_size),
             image.file.stub_vaddr(site).value);
  }
  return out.take();
}

}  // namespace sysrewrite::differential
