#include "loader/hooks/files_options.h"

#include <string.h>

namespace sysrewrite {

namespace {

// One key=value. A colon within it has a backslash before it.
struct Option {
  const char* text;
  uint32_t size, key_size;
};

Option option_at(const char* text) {
  Option option{text, 0, 0};
  while (text[option.size] != 0 && text[option.size] != ':')
    option.size += text[option.size] == '\\' && text[option.size + 1] != 0 ? 2 : 1;
  while (option.key_size < option.size && text[option.key_size] != '=') ++option.key_size;
  return option;
}

bool equals(const char* text, uint32_t size, const char* word) {
  return strlen(word) == size && memcmp(text, word, size) == 0;
}

FileFormat format_of(sysload_hook* hook, const char* value, uint32_t size, int column) {
  if (equals(value, size, "text")) return FileFormat::kText;
  if (equals(value, size, "json")) return FileFormat::kJson;
  if (!equals(value, size, "null"))
    hook->api->fail(hook, "option at column %d: found format=%.*s, expected text, json or null",
                    column, static_cast<int>(size), value);
  return FileFormat::kNull;
}

}  // namespace

FileFormat read_files_options(sysload_hook* hook) {
  FileFormat format = FileFormat::kText;
  const char* text = hook->options;
  while (*text != 0) {
    const Option option = option_at(text);
    const auto column = static_cast<int>(text - hook->options) + 1;
    if (equals(text, option.key_size, "format")) {
      const uint32_t from = option.key_size + (option.key_size < option.size ? 1 : 0);
      format = format_of(hook, text + from, option.size - from, column + static_cast<int>(from));
    } else if (option.size != 0 && !equals(text, option.key_size, "output")) {
      hook->api->fail(
          hook, "option at column %d: found %.*s, expected format=text|json|null or output=PATH",
          column, static_cast<int>(option.size), text);
    }
    text += option.size;
    if (*text == ':') ++text;
  }
  return format;
}

}  // namespace sysrewrite
