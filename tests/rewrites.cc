#include "tests/rewrites.h"

#include <fmt/format.h>

namespace sysrewrite::test {

Whole rewrite_whole(Bytes input, const Options& options) {
  auto rewritten = rewrite(input, options);
  if (!rewritten) {
    ADD_FAILURE() << "the rewrite failed: " << rewritten.error().message;
    return {};
  }
  Whole whole;
  whole.input = std::move(input);
  whole.report = std::move(rewritten->report);
  whole.output = materialize(whole.input, rewritten->output);
  const auto parsed = RewrittenFile::parse(whole.output);
  EXPECT_EQ(parsed.status, TrailerStatus::kValid) << parsed.problem;
  if (parsed.status != TrailerStatus::kValid) return whole;
  whole.file = parsed.file;
  EXPECT_EQ(whole.file.checksum(), whole.file.meta().checksum);
  EXPECT_EQ(whole.report.output_size, whole.output.size());
  return whole;
}

Error rewrite_error(const Bytes& input, const Options& options) {
  const auto rewritten = rewrite(input, options);
  EXPECT_FALSE(rewritten.ok()) << "the rewrite was expected to fail";
  return rewritten ? Error{} : rewritten.error();
}

std::string describe(const SiteReport& site) {
  std::string out = fmt::format("{:x} {} {:x}+{}", site.address.value, static_cast<char>(site.tier),
                                site.window.value, site.window_size);
  if (site.springboard) out += fmt::format(" by {:x}", site.springboard->value);
  return out + ": " + reason_text(site.reason);
}

std::string describe(const Report& report) {
  std::string out;
  for (const SiteReport& site : report.sites) out += describe(site) + "\n";
  return out;
}

ByteView output_at(const Whole& whole, uint64_t address, uint64_t size) {
  const auto offset = whole.file.offset_of({address}, size);
  EXPECT_TRUE(offset.has_value()) << fmt::format("{:#x} is not in the file", address);
  return offset ? ByteView(whole.output).subspan(offset->value, size) : ByteView{};
}

ByteView stub_of(const Whole& whole, size_t index) {
  const SiteRecord site = whole.file.site(static_cast<uint32_t>(index));
  return whole.file.trampoline().subspan(site.stub, site.stub_size);
}

}  // namespace sysrewrite::test
