#include "loader/start/stack_view.h"

#include <linux/auxvec.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"

namespace sysrewrite {

namespace {

RuntimeAddr end_of(const char* text) {
  return Memory::address_of(text) + strlen(text) + 1;
}

}  // namespace

StackView::StackView(RuntimeAddr stack_pointer)
    : stack_pointer_(stack_pointer), words_(Memory::at<uint64_t>(stack_pointer)) {
  measure();
}

void StackView::measure() {
  envp_ = 1 + argc() + 1;
  env_count_ = 0;
  while (words_[envp_ + env_count_] != 0) ++env_count_;
  auxv_ = envp_ + env_count_ + 1;
  auxv_words_ = 2;
  while (words_[auxv_ + auxv_words_ - 2] != AT_NULL) auxv_words_ += 2;
}

char* StackView::argument(uint64_t index) const {
  return Memory::at<char>({words_[1 + index]});
}

const char* StackView::environment(const char* name) const {
  const size_t size = strlen(name);
  for (uint64_t i = 0; i < env_count_; ++i) {
    const char* entry = Memory::at<char>({words_[envp_ + i]});
    if (strlen(entry) > size && memcmp(entry, name, size) == 0 && entry[size] == '=')
      return entry + size + 1;
  }
  return nullptr;
}

uint64_t* StackView::auxiliary(uint64_t type) const {
  for (uint64_t i = auxv_; words_[i] != AT_NULL; i += 2)
    if (words_[i] == type) return &words_[i + 1];
  return nullptr;
}

uint64_t StackView::auxiliary_or(uint64_t type, uint64_t otherwise) const {
  const uint64_t* value = auxiliary(type);
  return value == nullptr ? otherwise : *value;
}

void StackView::set_auxiliary(uint64_t type, uint64_t value) {
  if (uint64_t* entry = auxiliary(type)) *entry = value;
}

void StackView::hide_auxiliary(uint64_t type) {
  if (uint64_t* value = auxiliary(type)) value[-1] = AT_IGNORE;
}

RuntimeAddr StackView::auxv() const {
  return Memory::address_of(&words_[auxv_]);
}

StringBounds StackView::string_bounds() const {
  // Without arguments (kernels before 5.18 allow that) everything starts where the path is.
  const RuntimeAddr nothing = {auxiliary_or(AT_EXECFN, stack_pointer_.value)};
  StringBounds bounds{nothing, nothing, nothing, nothing};
  if (env_count_ != 0) {
    bounds.env_start = {words_[envp_]};
    bounds.env_end = end_of(Memory::at<char>({words_[envp_ + env_count_ - 1]}));
    bounds.arg_start = bounds.arg_end = bounds.env_start;
  }
  if (argc() != 0) {
    bounds.arg_start = Memory::address_of(argument(0));
    bounds.arg_end = end_of(argument(argc() - 1));
    if (env_count_ == 0) bounds.env_start = bounds.env_end = bounds.arg_end;
  }
  return bounds;
}

// The argument strings stand one behind the other, and /proc/PID/cmdline shows them as they stand.
// A new name for argument `index` therefore has to be moved right in front of argument index + 1:
// [name ... path] becomes [... path name], a rotation. Returns where the old argument now stands.
char* StackView::put_in_front(char* name, uint64_t index) {
  char* path = argument(index);
  char* end = path + strlen(path) + 1;
  const size_t name_size = strlen(name) + 1;
  std::rotate(name, name + name_size, end);
  words_[1 + index] = Memory::address_of(end - name_size).value;
  return path - name_size;
}

const char* StackView::drop_arguments(uint64_t count, char* name) {
  const char* first = argument(count);
  if (name != nullptr) first = put_in_front(name, count);
  const uint64_t words = auxv_ + auxv_words_;
  words_[count] = argc() - count;
  // An odd number of words would leave rsp at 8 modulo 16: the block then moves down by one word,
  // into the place of the last argument that was dropped.
  const uint64_t skipped = count & ~uint64_t{1};
  if (skipped != count)
    memmove(words_ + skipped, words_ + count, (words - count) * sizeof(uint64_t));
  words_ += skipped;
  stack_pointer_ = stack_pointer_ + skipped * sizeof(uint64_t);
  measure();
  return first;
}

}  // namespace sysrewrite
