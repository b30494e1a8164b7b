#include "loader/hooks/files_record.h"

#include <asm/unistd.h>
#include <linux/mman.h>

#include "loader/hooks/address.h"

namespace sysrewrite {

const char* kind_name(FileKind kind) {
  // No table of pointers: it would need relocations. A switch of literals may become one.
  static constexpr char kNames[][12] = {
      "",        "read",  "write",  "read-write",  "create",    "test",      "missing",
      "failed",  "list",  "delete", "rename-from", "rename-to", "link",      "change",
      "execute", "enter", "mount",  "watch",       "connect",   "incomplete"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) ==
                static_cast<uint32_t>(FileKind::kIncomplete) + 1);
  return kNames[static_cast<uint32_t>(kind)];
}

namespace {

// Lengths are counted first, with nothing to write to, then written: a path of 8 KB may need six
// times that, and there is not that much stack.
class Line {
 public:
  explicit Line(char* into) : into_(into) {}

  uint64_t size() const { return size_; }
  void byte(char c) {
    if (into_ != nullptr) into_[size_] = c;
    ++size_;
  }
  void text(const char* text) {
    while (*text != 0) byte(*text++);
  }
  void hexadecimal(unsigned char c) {
    byte(digit(c >> 4));
    byte(digit(c & 15));
  }

 private:
  static char digit(unsigned value) {
    return static_cast<char>(value < 10 ? '0' + value : 'a' + value - 10);
  }
  char* into_;
  uint64_t size_ = 0;
};

bool is_control(unsigned char c) {
  return c < 0x20 || c == 0x7f;
}

void write_text(Line& line, const char* path, uint32_t size) {
  for (uint32_t i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(path[i]);
    if (c == '\\') {
      line.text("\\\\");
    } else if (c == '\n') {
      line.text("\\n");
    } else if (c == '\t') {
      line.text("\\t");
    } else if (is_control(c)) {
      line.text("\\x");
      line.hexadecimal(c);
    } else {
      line.byte(path[i]);
    }
  }
}

// Bytes of the UTF-8 sequence that begins here; 0 where none does. Source: RFC 3629, section 4.
uint32_t sequence_size(const char* text, uint32_t size) {
  const auto at = [&](uint32_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  uint32_t length = 0;
  unsigned char low = 0x80, high = 0xbf;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) length = 2;
  if (first >= 0xe0 && first <= 0xef) length = 3;
  if (first >= 0xf0 && first <= 0xf4) length = 4;
  if (length == 0 || length > size) return 0;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  if (at(1) < low || at(1) > high) return 0;
  for (uint32_t i = 2; i < length; ++i)
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  return length;
}

void write_json_string(Line& line, const char* path, uint32_t size) {
  for (uint32_t i = 0; i < size;) {
    const auto c = static_cast<unsigned char>(path[i]);
    const uint32_t length = sequence_size(path + i, size - i);
    if (c == '"' || c == '\\') {
      line.byte('\\');
      line.byte(path[i]);
    } else if (length == 0) {
      line.text("\\udc");
      line.hexadecimal(c);
    } else if (is_control(c)) {
      line.text("\\u00");
      line.hexadecimal(c);
    } else {
      for (uint32_t j = 0; j < length; ++j) line.byte(path[i + j]);
    }
    i += length == 0 ? 1 : length;
  }
}

struct Record {
  FileFormat format;
  FileKind kind;
  const char* path;
  uint32_t size;
  const char* error;
};

void write_record(Line& line, const Record& record) {
  if (record.format == FileFormat::kJson) {
    line.text(R"({"kind":")");
    line.text(kind_name(record.kind));
    line.text(R"(","path":")");
    write_json_string(line, record.path, record.size);
    if (record.error != nullptr) {
      line.text(R"(","error":")");
      line.text(record.error);
    }
    line.text("\"}\n");
    return;
  }
  line.text(kind_name(record.kind));
  line.byte(' ');
  if (record.format == FileFormat::kText) {
    write_text(line, record.path, record.size);
    line.byte('\n');
    return;
  }
  for (uint32_t i = 0; i < record.size; ++i) line.byte(record.path[i]);
  line.byte(0);
}

}  // namespace

void emit_record(sysload_hook* hook, FileFormat format, FileKind kind, const char* path,
                 uint32_t size, int64_t error) {
  const sysload_api& api = *hook->api;
  const Record record{format, kind, path, size, error == 0 ? nullptr : api.error_name(error)};
  char small[1024];
  Line count(nullptr);
  write_record(count, record);
  char* into = small;
  if (count.size() > sizeof(small)) {
    const int64_t made = api.syscall(__NR_mmap, 0, count.size(), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0);
    if (made < 0) {
      const char reason[] = "no memory for a record";
      return emit_record(hook, format, FileKind::kIncomplete, reason, sizeof(reason) - 1, 0);
    }
    into = at_word<char>(static_cast<uint64_t>(made));
  }
  Line line(into);
  write_record(line, record);
  api.emit(hook, into, line.size());
  if (into != small) api.syscall(__NR_munmap, word(into), count.size(), 0, 0, 0, 0);
}

}  // namespace sysrewrite
