#include "loader/hooks/trace_filter.h"

#include <cstring>

#include "loader/hooks/trace_table.h"
#include "loader/text.h"

namespace sysrewrite::trace {

namespace {

struct Class {
  char name[10];
  uint16_t bits;
};

constexpr uint16_t kAnyStat = kStat | kLstat | kFstat;
constexpr uint16_t kEveryStatfs = kStatfs | kFstatfs | kAnyStatfs;
constexpr Class kClasses[] = {
    {"file", kFile},           {"process", kProcess},      {"network", kNetwork},
    {"net", kNetwork},         {"signal", kSignal},        {"ipc", kIpc},
    {"desc", kDesc},           {"memory", kMemory},        {"stat", kStat},
    {"lstat", kLstat},         {"fstat", kFstat},          {"statfs", kStatfs},
    {"fstatfs", kFstatfs},     {"%stat", kAnyStat},        {"%lstat", kAnyStat},
    {"%fstat", kAnyStat},      {"creds", kCreds},          {"clock", kClock},
    {"%statfs", kEveryStatfs}, {"%fstatfs", kEveryStatfs}, {"pure", kPure},
};

struct Item {
  const char* text;
  uint64_t length;

  bool is(const char* word) const { return is_word(text, length, word); }
  Item behind(uint64_t count) const { return {text + count, length - count}; }
};

const Class* find_class(Item item) {
  for (const Class& known : kClasses)
    if (item.is(known.name)) return &known;
  return nullptr;
}

void add_class(CallSet& calls, uint16_t bits) {
  for (uint64_t number = 0; number < SYSLOAD_MOST_NUMBERS; ++number) {
    const CallRow* row = find_call(number);
    if (row != nullptr && (row->classes & bits) != 0) calls.add(number);
  }
}

// -1 where it is no number, or too large for one.
int64_t number_of(Item item) {
  int64_t number = item.length == 0 ? -1 : 0;
  for (uint64_t i = 0; i < item.length && number >= 0; ++i) {
    const char c = item.text[i];
    number = c < '0' || c > '9' ? -1 : number * 10 + (c - '0');
    if (number >= SYSLOAD_MOST_NUMBERS) number = -1;
  }
  return number;
}

constexpr uint64_t kNameSize = 32;

int64_t call_named(const sysload_api& api, Item item) {
  char name[kNameSize];
  if (item.length == 0 || item.length >= sizeof(name)) return -1;
  memcpy(name, item.text, item.length);
  name[item.length] = 0;
  return api.call_number(name);
}

// How many characters must be put in, taken out or exchanged (Levenshtein).
unsigned distance(Item item, const char* name) {
  unsigned row[kNameSize + 1];
  const uint64_t columns = strlen(name);
  if (columns > kNameSize) return ~0U;
  for (unsigned j = 0; j <= columns; ++j) row[j] = j;
  for (uint64_t i = 1; i <= item.length; ++i) {
    unsigned diagonal = row[0];
    row[0] = static_cast<unsigned>(i);
    for (uint64_t j = 1; j <= columns; ++j) {
      const unsigned exchanged = diagonal + (item.text[i - 1] != name[j - 1] ? 1 : 0);
      diagonal = row[j];
      const unsigned shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
      row[j] = exchanged < shorter + 1 ? exchanged : shorter + 1;
    }
  }
  return row[columns];
}

void consider(Item item, const char* name, bool is_class, unsigned& best, FilterMistake& mistake) {
  const unsigned far = distance(item, name);
  const uint64_t length = strlen(name);
  if (far >= best || length + 2 > sizeof(mistake.nearest)) return;
  best = far;
  mistake.nearest[0] = '%';
  memcpy(mistake.nearest + (is_class ? 1 : 0), name, length + 1);
}

// Only what is near is named: a third of the letters, and one.
void find_nearest(const sysload_api& api, Item item, FilterMistake& mistake) {
  if (item.length >= kNameSize) return;
  const bool wants_class = item.length > 0 && item.text[0] == '%';
  const Item name = wants_class ? item.behind(1) : item;
  unsigned best = static_cast<unsigned>(name.length) / 3 + 2;
  for (const Class& known : kClasses)
    if (wants_class) consider(name, known.name, true, best, mistake);
  for (uint64_t number = 0; number < SYSLOAD_MOST_NUMBERS && !wants_class; ++number) {
    const char* call = api.call_name(number);
    if (call != nullptr) consider(name, call, false, best, mistake);
  }
}

// Null where the item is understood, and otherwise what was expected.
const char* add_item(const sysload_api& api, Item item, CallSet& calls, bool& is_unknown) {
  is_unknown = false;
  if (item.length == 0) return "a system call, a number or a %class";
  if (item.text[0] == '/') return "a name: regular expressions are not supported, list the names";
  if (item.text[0] == '!') return "\"!\" only before the whole list, which it turns round";
  if (item.is("none")) return nullptr;
  if (item.is("all")) {
    memset(calls.word, 0xff, sizeof(calls.word));
    return nullptr;
  }
  const int64_t plain = number_of(item);
  const int64_t number = plain >= 0 ? plain : call_named(api, item);
  if (number >= 0 && number < SYSLOAD_MOST_NUMBERS) {
    calls.add(static_cast<uint64_t>(number));
    return nullptr;
  }
  // strace has known its classes without the percent sign, too.
  const Class* known = find_class(item.text[0] == '%' ? item.behind(1) : item);
  if (known == nullptr) {
    is_unknown = true;
    return "a system call, a number or a %class";
  }
  add_class(calls, known->bits);
  return nullptr;
}

}  // namespace

bool parse_filter(const sysload_api& api, const char* expression, CallSet& calls,
                  FilterMistake& mistake) {
  memset(&calls, 0, sizeof(calls));
  const char* at = expression;
  const bool inverted = *at == '!';
  if (inverted) ++at;
  for (;;) {
    Item item{at, 0};
    while (at[item.length] != 0 && at[item.length] != ',') ++item.length;
    const bool tolerant = item.length > 0 && *at == '?';
    const Item name = tolerant ? item.behind(1) : item;
    bool is_unknown = false;
    const char* expected = add_item(api, name, calls, is_unknown);
    if (expected != nullptr && !(tolerant && is_unknown)) {
      mistake = {
          static_cast<uint64_t>(name.text - expression) + 1, name.text, name.length, expected, {}};
      if (is_unknown) find_nearest(api, name, mistake);
      return false;
    }
    at += item.length;
    if (*at == 0) break;
    ++at;
  }
  for (uint64_t& word : calls.word)
    if (inverted) word = ~word;
  return true;
}

}  // namespace sysrewrite::trace
