// The memory functions that a compiler calls on its own, even in freestanding code.
// Source: GCC manual, "Standards": "GCC requires the freestanding environment provide memcpy,
// memmove, memset and memcmp."
//
// They are written with the string instructions, since a plain C++ loop is recognised by the
// optimizer as exactly the function that it is meant to implement, and becomes a call of itself.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, size_t size);
void* memmove(void* to, const void* from, size_t size);
void* memset(void* to, int value, size_t size);
int memcmp(const void* a, const void* b, size_t size);
size_t strlen(const char* text);

void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
  void* end = to;
  asm volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(size) : : "memory");
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  auto* target = static_cast<unsigned char*>(to);
  const auto* source = static_cast<const unsigned char*>(from);
  if (target <= source || target >= source + size) return memcpy(to, from, size);
  target += size - 1;
  source += size - 1;
  asm volatile("std; rep movsb; cld" : "+D"(target), "+S"(source), "+c"(size) : : "memory", "cc");
  return to;
}

void* memset(void* to, int value, size_t size) {
  void* end = to;
  asm volatile("rep stosb" : "+D"(end), "+c"(size) : "a"(value) : "memory");
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  const auto* left = static_cast<const unsigned char*>(a);
  const auto* right = static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < size; ++i) {
    asm volatile("" : : : "memory");
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char* text) {
  size_t size = 0;
  while (text[size] != 0) {
    asm volatile("" : : : "memory");
    ++size;
  }
  return size;
}

}  // extern "C"
