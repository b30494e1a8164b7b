// Objects that are refused: what real compilers make of sources that need what is not there, and
// objects with one field damaged.
#include <gtest/gtest.h>

#include "tests/elf_builder.h"
#include "tests/hooks/compiled_hook.h"

namespace sysrewrite::test {

namespace {

const std::string kInit = "int sysload_hook_init(void* hook) { (void)hook; return 0; }\n";

std::string of(const std::string& source, const std::string& flags = kDocumented) {
  return verdict(compiled("gcc", source, flags));
}

TEST(HookRefusal, NamesTheLibraryThatIsNeeded) {
  EXPECT_EQ(
      of("int puts(const char*); int sysload_hook_init(void* h) { (void)h; return puts(\"\"); }",
         "-O2 -shared -fPIC"),
      "needs libc.so.6; compile with -nostdlib");
}

TEST(HookRefusal, NamesTheFirstFunctionThatIsNotThere) {
  EXPECT_EQ(of("int printf(const char*, ...); int sysload_hook_init(void* h) { (void)h; return "
               "printf(\"hello %d\", 1); }"),
            "refers to printf, which is not there; a hook may call only what hook.h names");
  EXPECT_EQ(of("extern int environ; int sysload_hook_init(void* h) { (void)h; return environ; }"),
            "refers to environ, which is not there; a hook may call only what hook.h names");
}

TEST(HookRefusal, HasNoThreadLocalVariables) {
  EXPECT_EQ(of("_Thread_local int x; int sysload_hook_init(void* h) { (void)h; return x++; }",
               std::string(kDocumented) + " -ftls-model=initial-exec"),
            "has thread-local variables, and %fs is the program's; use the thread's data instead");
  EXPECT_EQ(
      of("extern _Thread_local int x; int sysload_hook_init(void* h) { (void)h; return x++; }",
         std::string(kDocumented) + " -ftls-model=initial-exec"),
      "has a relocation R_X86_64_TPOFF64; sysload applies relative ones and those to the "
      "hook's own symbols");
}

TEST(HookRefusal, HasNoConstructorsOrDestructors) {
  EXPECT_EQ(of("int x; __attribute__((constructor)) void f(void) { x = 1; }" + kInit),
            "has constructors, which nobody would run; compile with -nostdlib, and do their work "
            "in sysload_hook_init");
  EXPECT_EQ(of("int x; __attribute__((destructor)) void f(void) { x = 1; }" + kInit),
            "has destructors, which nobody would run; compile with -nostdlib, and use the hook's "
            "finishing");
}

TEST(HookRefusal, HasNoIndirectFunctions) {
  EXPECT_EQ(of("static int g(void) { return 1; } static void* pick(void) { return (void*)g; }\n"
               "static int f(void) __attribute__((ifunc(\"pick\")));\n"
               "int sysload_hook_init(void* h) { (void)h; return f(); }"),
            "has a relocation R_X86_64_IRELATIVE; sysload applies relative ones and those to the "
            "hook's own symbols");
  EXPECT_EQ(of("static int g(void) { return 1; } static void* pick(void) { return (void*)g; }\n"
               "int f(void) __attribute__((ifunc(\"pick\")));\n"
               "int sysload_hook_init(void* h) { (void)h; return f(); }"),
            "refers to f, which is thread-local or an indirect function");
}

TEST(HookRefusal, HasNoTextRelocations) {
  EXPECT_EQ(
      of("int x; asm(\".text\\n.quad x\"); " + kInit, std::string(kDocumented) + " -Wl,-z,notext"),
      "a relocation lies in no writable segment; compile with -fPIC");
}

TEST(HookRefusal, HasNoSegmentWritableAndExecutable) {
  const std::string answer =
      of(kInit + "int x = 1;", std::string(kDocumented) + " -Wl,-N -Wl,-z,noseparate-code");
  EXPECT_EQ(answer, "segment 0 is both writable and executable");
}

TEST(HookRefusal, HasNoExecutableStack) {
  EXPECT_EQ(of(kInit, std::string(kDocumented) + " -Wl,-z,execstack"),
            "wants an executable stack, which it does not get; link with -z noexecstack");
}

TEST(HookRefusal, ExportsItsInit) {
  EXPECT_EQ(of("int other(void) { return 0; }"), "exports no function sysload_hook_init");
  EXPECT_EQ(of("static " + kInit + "void* keep = sysload_hook_init;"),
            "exports no function sysload_hook_init");
  EXPECT_EQ(of(kInit, std::string(kDocumented) + " -fvisibility=hidden"),
            "exports no function sysload_hook_init");
  EXPECT_EQ(of("int sysload_hook_init = 1;"),
            "its sysload_hook_init lies in no executable segment");
  EXPECT_EQ(of("int sysload_hook_init(void*); int x(void) { return sysload_hook_init(0); }"),
            "refers to sysload_hook_init, which is not there; a hook may call only what hook.h "
            "names");
}

TEST(HookRefusal, IsASharedObject) {
  EXPECT_EQ(of(kInit, "-c"), "an object file, not a shared object; link it with -shared");
  EXPECT_EQ(of(kInit + "void _start(void) {}", "-nostdlib -static -no-pie"),
            "not a shared object (e_type 2); compile with -shared -fPIC");
  EXPECT_EQ(of(kInit, "-shared -nostdlib -m32"), "not for x86-64");
  EXPECT_EQ(verdict(text("#!/bin/sh\necho hello, this is no ELF file, but long enough for one\n")),
            "not an ELF file");
  EXPECT_EQ(verdict({}), "not an ELF file");
  EXPECT_EQ(of(kInit + "void _start(void) {}", "-nostdlib -static-pie -fPIE"),
            "exports no function sysload_hook_init");
}

TEST(HookRefusal, ShowsLongNamesCut) {
  const std::string name(300, 'x');
  EXPECT_EQ(of("int " + name + "(void); int sysload_hook_init(void* h) { (void)h; return " + name +
               "(); }"),
            "refers to " + std::string(80, 'x') +
                "..., which is not there; a hook may call only what hook.h names");
}

// --- One field damaged --------------------------------------------------------------------------

const Bytes& good() {
  static const Bytes object = compiled(
      "gcc",
      "int x = 1; int* y = &x; char z[5000]; int sysload_hook_init(void* h) { (void)h; z[1] "
      "= 1; return *y; }");
  return object;
}

elf::Phdr header(const Bytes& object, size_t index) {
  return load<elf::Phdr>(object, phdr_field(index, 0)).value();
}

size_t index_of(const Bytes& object, uint32_t type, uint32_t flags = 0) {
  const uint16_t count = load<uint16_t>(object, offsetof(elf::Ehdr, phnum)).value();
  for (size_t i = 0; i < count; ++i)
    if (header(object, i).type == type && (flags == 0 || (header(object, i).flags & flags) != 0))
      return i;
  ADD_FAILURE() << "there is no header of type " << type;
  return 0;
}

TEST(DamagedHook, IsGoodBeforeItIsDamaged) {
  EXPECT_EQ(verdict(good()), "accepted");
}

TEST(DamagedHook, HasSegmentsThatHold) {
  const size_t code = index_of(good(), elf::kPtLoad, elf::kFlagExec);
  const size_t data = index_of(good(), elf::kPtLoad, elf::kFlagWrite);
  const auto damaged = [](size_t index, size_t field, uint64_t value) {
    return verdict(with(good(), phdr_field(index, field), value));
  };
  EXPECT_EQ(damaged(code, offsetof(elf::Phdr, offset), uint64_t{1} << 40),
            "segment 1 leaves the file");
  EXPECT_EQ(damaged(code, offsetof(elf::Phdr, filesz), uint64_t{1} << 40),
            "segment 1 leaves the file");
  EXPECT_EQ(damaged(data, offsetof(elf::Phdr, memsz), 1),
            "segment " + std::to_string(data) + " has more bytes in the file than in memory");
  EXPECT_EQ(damaged(data, offsetof(elf::Phdr, memsz), uint64_t{1} << 40),
            "segment " + std::to_string(data) + " lies too far from the first");
  EXPECT_EQ(damaged(data, offsetof(elf::Phdr, memsz), ~uint64_t{0}),
            "segment " + std::to_string(data) + " lies too far from the first");
  EXPECT_EQ(damaged(code, offsetof(elf::Phdr, vaddr), 0x1001),
            "segment 1 has an offset that does not fit its address");
  EXPECT_EQ(damaged(code, offsetof(elf::Phdr, vaddr), 0),
            "segment 1 shares a page with the one before it, or is out of order");
  EXPECT_EQ(damaged(code, offsetof(elf::Phdr, align), uint64_t{1} << 62),
            "segment 1 has an absurd alignment");
}

TEST(DamagedHook, HasHeadersThatHold) {
  EXPECT_EQ(verdict(with(good(), offsetof(elf::Ehdr, phoff), ~uint64_t{0})),
            "the program headers leave the file");
  EXPECT_EQ(verdict(with(good(), offsetof(elf::Ehdr, phnum), uint16_t{0})),
            "the program headers leave the file");
  EXPECT_EQ(verdict(with(good(), offsetof(elf::Ehdr, phnum), uint16_t{0xffff})),
            "the program headers leave the file");
  EXPECT_EQ(verdict(with(good(), offsetof(elf::Ehdr, phentsize), uint16_t{32})),
            "e_phentsize is 32, not 56");
  const size_t relro = index_of(good(), 0x6474e552);
  EXPECT_EQ(verdict(with(good(), phdr_field(relro, offsetof(elf::Phdr, vaddr)), uint64_t{0x1000})),
            "PT_GNU_RELRO lies in no writable segment");
  const size_t dynamic = index_of(good(), elf::kPtDynamic);
  EXPECT_EQ(verdict(with(good(), phdr_field(dynamic, offsetof(elf::Phdr, filesz)), ~uint64_t{0})),
            "the dynamic section leaves its segment");
  EXPECT_EQ(verdict(with(good(), phdr_field(dynamic, offsetof(elf::Phdr, filesz)), uint64_t{0})),
            "has no dynamic section; compile with -shared");
}

Bytes with_dynamic(int64_t tag, uint64_t value) {
  const elf::Phdr dynamic = header(good(), index_of(good(), elf::kPtDynamic));
  for (uint64_t at = dynamic.offset;; at += sizeof(elf::Dyn)) {
    const auto entry = load<elf::Dyn>(good(), at).value();
    if (entry.tag == tag) return with(good(), at + 8, value);
    if (entry.tag != elf::kDtNull) continue;
    ADD_FAILURE() << "there is no tag " << tag;
    return good();
  }
}

TEST(DamagedHook, HasTablesThatHold) {
  EXPECT_EQ(verdict(with_dynamic(elf::kDtRela, ~uint64_t{0})),
            "the relocations leave their segment");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtRelasz, ~uint64_t{0})),
            "the relocations leave their segment");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtRelasz, 25)), "the relocations leave their segment");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtRelaent, 16)), "DT_RELAENT is not 24");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtSymtab, 0x7fffffffffff)),
            "a relocation names a symbol outside the symbol table");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtGnuHash, ~uint64_t{0})),
            "its symbol hash table is damaged, or it has none");
  EXPECT_EQ(verdict(with_dynamic(elf::kDtStrsz, 0)), "exports no function sysload_hook_init");
}

// Whatever is damaged, there is an answer, and nothing is read outside (the sanitizers look on).
TEST(DamagedHook, GetsAnAnswerForEveryByteOfItsTables) {
  const Bytes& object = good();
  const uint64_t tables = header(object, 0).filesz;
  const elf::Phdr dynamic = header(object, index_of(object, elf::kPtDynamic));
  const auto damage = [&object](uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; ++at)
      for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0x80U, 0xffU}) {
        const Bytes changed = with(object, at, static_cast<uint8_t>(value));
        if (verdict(changed) == "accepted") loaded(changed, 0x7f0000000000);
      }
  };
  damage(0, tables);
  damage(dynamic.offset, dynamic.offset + dynamic.filesz);
}

TEST(DamagedHook, GetsAnAnswerWhereverItIsCut) {
  for (size_t size = 0; size < good().size(); size += size < 4096 ? 1 : 64)
    verdict(Bytes(good().begin(), good().begin() + static_cast<int64_t>(size)));
}

}  // namespace

}  // namespace sysrewrite::test
