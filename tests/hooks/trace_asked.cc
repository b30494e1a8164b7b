// What the trace hook says of calls that are read from a file, as if each had been answered with
// an error, or with 0: for comparison with what strace says of the same calls (asker.c).
//
//   usage: trace_asked FILE ERRNO [OPTIONS]

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "loader/hooks/hooks.h"
#include "tests/hooks/scripted_api.h"

namespace {

constexpr uint64_t kPage = 0x10000000, kSize = 65536;

void* page_address() {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
  return reinterpret_cast<void*>(kPage);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 && count != 4) return 2;
  const int64_t result = -strtol(arguments[2], nullptr, 10);
  std::ifstream file(arguments[1]);
  auto* page = static_cast<char*>(mmap(page_address(), kSize, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  if (page == MAP_FAILED) return 2;
  ScriptedApi api;
  api.start(&sysload_hook_init_trace, count == 4 ? arguments[3] : "");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<uint64_t> numbers;
    memset(page, 0, 4096);
    for (std::string word; words >> word;) {
      const size_t colon = word.find(':');
      if (colon == std::string::npos) {
        numbers.push_back(strtoull(word.c_str(), nullptr, 0));
        continue;
      }
      const uint64_t value = strtoull(word.c_str() + colon + 1, nullptr, 0);
      memcpy(page + strtoull(word.c_str(), nullptr, 0), &value, sizeof(value));
    }
    const uint64_t number = numbers.front();
    numbers.erase(numbers.begin());
    api.make_call(number, numbers, result);
  }
  std::cout << api.output;
}
