// What the kernel says to a function under test: a seccomp filter lets it make the calls that are
// harmless and answer the same twice, whatever a random rax asks for, and answers all others
// itself.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_FILTER_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_FILTER_H_

namespace sysrewrite::differential {

// Calls issued below 64 GiB, where only code under test lies, or by a callback for it, are filtered
// from here on, in this process and for good; all others are not. False where that failed.
bool filter_calls();

// /dev/zero stands at this descriptor and above it is nothing.
inline constexpr unsigned kFirstDescriptor = 700;

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_FILTER_H_
