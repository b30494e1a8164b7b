// The few ELF64 structures read here, with fixed-size fields and no dependency on the system's
// headers. Source: System V gABI, "ELF Header", "Program Header"; x86-64 psABI.
#ifndef SYSREWRITE_TRAMPOLINE_ELF_TYPES_H_
#define SYSREWRITE_TRAMPOLINE_ELF_TYPES_H_

#include <cstdint>

namespace sysrewrite::elf {

struct Ehdr {
  uint8_t ident[16];
  uint16_t type;
  uint16_t machine;
  uint32_t version;
  uint64_t entry;
  uint64_t phoff;
  uint64_t shoff;
  uint32_t flags;
  uint16_t ehsize;
  uint16_t phentsize;
  uint16_t phnum;
  uint16_t shentsize;
  uint16_t shnum;
  uint16_t shstrndx;
};
static_assert(sizeof(Ehdr) == 64);

struct Phdr {
  uint32_t type;
  uint32_t flags;
  uint64_t offset;
  uint64_t vaddr;
  uint64_t paddr;
  uint64_t filesz;
  uint64_t memsz;
  uint64_t align;
};
static_assert(sizeof(Phdr) == 56);

struct Shdr {
  uint32_t name;
  uint32_t type;
  uint64_t flags;
  uint64_t addr;
  uint64_t offset;
  uint64_t size;
  uint32_t link;
  uint32_t info;
  uint64_t addralign;
  uint64_t entsize;
};
static_assert(sizeof(Shdr) == 64);

struct Sym {
  uint32_t name;
  uint8_t info;
  uint8_t other;
  uint16_t shndx;
  uint64_t value;
  uint64_t size;
};
static_assert(sizeof(Sym) == 24);

struct Dyn {
  int64_t tag;
  uint64_t value;
};
static_assert(sizeof(Dyn) == 16);

struct Nhdr {
  uint32_t namesz, descsz, type;
};
static_assert(sizeof(Nhdr) == 12);

struct Rela {
  uint64_t offset;
  uint64_t info;
  int64_t addend;
};
static_assert(sizeof(Rela) == 24);

inline constexpr uint8_t kMagic[4] = {0x7f, 'E', 'L', 'F'};
inline constexpr uint8_t kClass32 = 1, kClass64 = 2;
inline constexpr uint8_t kDataLittle = 1, kDataBig = 2;
inline constexpr uint16_t kTypeRel = 1, kTypeExec = 2, kTypeDyn = 3, kTypeCore = 4;
inline constexpr uint16_t kMachineX8664 = 62;
inline constexpr uint32_t kPtNull = 0, kPtLoad = 1, kPtDynamic = 2, kPtInterp = 3, kPtNote = 4,
                          kPtPhdr = 6, kPtTls = 7, kPtGnuEhFrame = 0x6474e550,
                          kPtGnuProperty = 0x6474e553;
inline constexpr uint32_t kFlagExec = 1, kFlagWrite = 2, kFlagRead = 4;
inline constexpr uint32_t kShtNull = 0, kShtProgbits = 1, kShtSymtab = 2, kShtStrtab = 3,
                          kShtRela = 4, kShtHash = 5, kShtDynamic = 6, kShtNote = 7, kShtNobits = 8,
                          kShtRel = 9, kShtDynsym = 11, kShtSymtabShndx = 18, kShtRelr = 19,
                          kShtGnuHash = 0x6ffffff6, kShtGnuVerdef = 0x6ffffffd,
                          kShtGnuVersym = 0x6fffffff;
inline constexpr uint64_t kShfWrite = 1, kShfAlloc = 2, kShfExecInstr = 4, kShfCompressed = 0x800;
inline constexpr uint16_t kShnUndef = 0, kShnLoReserve = 0xff00, kShnAbs = 0xfff1,
                          kShnXIndex = 0xffff;
inline constexpr uint8_t kStbLocal = 0, kStbGlobal = 1, kStvHidden = 2;
inline constexpr uint8_t kSttNotype = 0, kSttObject = 1, kSttFunc = 2, kSttSection = 3, kSttTls = 6,
                         kSttGnuIfunc = 10;
inline constexpr int64_t kDtNull = 0, kDtStrtab = 5, kDtSymtab = 6, kDtRela = 7, kDtRelasz = 8,
                         kDtRelaent = 9, kDtStrsz = 10, kDtSyment = 11, kDtInit = 12, kDtFini = 13,
                         kDtNeeded = 1, kDtSoname = 14, kDtRel = 17, kDtRelsz = 18, kDtTextrel = 22,
                         kDtJmprel = 23, kDtPltrelsz = 2, kDtFlags1 = 0x6ffffffb,
                         kDtGnuHash = 0x6ffffef5, kDtHash = 4, kDtRelr = 36, kDtRelrsz = 35;
// Source: linux, fs/binfmt_elf.c, load_elf_phdrs(): they may take 64 KiB.
inline constexpr uint64_t kMostProgramHeaders = 65536 / sizeof(Phdr);
inline constexpr uint64_t kDf1Pie = 0x08000000;
inline constexpr uint32_t kNtGnuAbiTag = 1, kNtGnuPropertyType0 = 5;
inline constexpr uint32_t kOwnerGnu = 0x00554e47;  // "GNU", with its NUL
// Types of relocations, in the low half of their info. Source: x86-64 psABI, table 4.10.
inline constexpr uint32_t kR64 = 1, kRPc32 = 2, kRGlobDat = 6, kRJumpSlot = 7, kRRelative = 8,
                          kR32 = 10, kR32S = 11, kRDtpmod64 = 16, kRDtpoff64 = 17, kRTpoff64 = 18,
                          kRPc64 = 24, kRTlsdesc = 36, kRIrelative = 37, kRRelative64 = 38;

}  // namespace sysrewrite::elf

#endif  // SYSREWRITE_TRAMPOLINE_ELF_TYPES_H_
