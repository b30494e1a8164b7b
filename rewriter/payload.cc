#include "rewriter/payload.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace sysrewrite {

namespace {

bool holds(ByteView bytes, std::string_view text) {
  const ByteView pattern = as_byte_view(text.data(), text.size());
  return std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end()) != bytes.end();
}

// The last bytes are where each kind leaves its mark; more is never searched.
const char* guess_kind(ByteView payload) {
  const ByteView end = payload.last(std::min<size_t>(payload.size(), 4096));
  if (holds(end, "\n---- Bun! ----\n")) return "a Bun executable";
  if (holds(end, "MEI\014\013\012\013\016")) return "a PyInstaller executable";
  if (holds(end, std::string_view("PK\005\006", 4))) return "a zip archive behind a program";
  if (holds(payload.first(std::min<size_t>(payload.size(), 4)), "hsqs"))
    return "an AppImage (squashfs behind a program)";
  return "a file with a payload behind the program";
}

}  // namespace

std::optional<Error> refuse_payload(const ElfImage& image, const Options& options) {
  const auto payload = image.payload();
  if (!payload || options.force) return std::nullopt;
  const ByteView rest = image.bytes().subspan(payload->value);
  return Error{
      ErrorCode::kSelfReading, payload->value,
      fmt::format("{}: {} bytes at offset {:#x} belong to no segment or section; a program "
                  "that finds them from the file's end would miss them. --force rewrites "
                  "all the same",
                  guess_kind(rest), rest.size(), payload->value)};
}

}  // namespace sysrewrite
