#include "tests/elf_builder.h"

#include <algorithm>
#include <cstdlib>

namespace sysrewrite::test {

namespace {

void place(Bytes& file, uint64_t offset, const Bytes& bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
}

uint32_t add_name(Bytes& names, const std::string& name) {
  const auto offset = static_cast<uint32_t>(names.size());
  names = std::move(names) + text(name) + hex("00");
  return offset;
}

// The file offset of an address that a segment holds.
uint64_t offset_of(const std::vector<elf::Phdr>& headers, uint64_t address) {
  for (const elf::Phdr& header : headers)
    if (header.type == elf::kPtLoad && address >= header.vaddr &&
        address - header.vaddr < header.memsz)
      return header.offset + (address - header.vaddr);
  std::abort();
}

}  // namespace

ElfBuilder& ElfBuilder::entry(uint64_t address) {
  entry_ = address;
  return *this;
}

ElfBuilder& ElfBuilder::segment(uint64_t address, Bytes bytes, uint32_t flags,
                                uint64_t memory_size) {
  const uint64_t size = std::max<uint64_t>(memory_size, bytes.size());
  loads_.push_back({address, size, std::move(bytes), flags});
  return *this;
}

ElfBuilder& ElfBuilder::header(uint32_t type, uint64_t address, uint64_t size) {
  others_.push_back({type, address, size});
  return *this;
}

ElfBuilder& ElfBuilder::interpreter(const std::string& path, uint64_t address) {
  loads_.insert(loads_.begin(), {address, path.size() + 1, text(path) + hex("00"), elf::kFlagRead});
  return header(elf::kPtInterp, address, path.size() + 1);
}

ElfBuilder& ElfBuilder::dynamic(uint64_t address, std::vector<elf::Dyn> entries) {
  entries.push_back({elf::kDtNull, 0});
  Bytes bytes;
  for (const elf::Dyn& entry : entries) bytes = std::move(bytes) + bytes_of(entry);
  const uint64_t size = bytes.size();
  return data(address, std::move(bytes)).header(elf::kPtDynamic, address, size);
}

ElfBuilder& ElfBuilder::symbol(const std::string& name, uint64_t address, uint64_t size,
                               uint8_t type) {
  elf::Sym entry{};
  entry.info = static_cast<uint8_t>(1 << 4 | type);  // STB_GLOBAL
  entry.shndx = 1;
  entry.value = address;
  entry.size = size;
  symbols_.push_back({name, entry});
  return *this;
}

ElfBuilder& ElfBuilder::section(const std::string& name, uint32_t type, uint64_t flags,
                                uint64_t address, uint64_t size) {
  elf::Shdr header{};
  header.type = type;
  header.flags = flags;
  header.addr = address;
  header.size = size;
  sections_.push_back({name, header});
  return *this;
}

ElfBuilder& ElfBuilder::payload(Bytes bytes) {
  payload_ = std::move(bytes);
  return *this;
}

// Other headers first, as PT_INTERP must stand in front of every PT_LOAD.
std::vector<elf::Phdr> ElfBuilder::lay_out() const {
  std::vector<elf::Phdr> loads;
  uint64_t next = sizeof(elf::Ehdr) + (loads_.size() + others_.size()) * sizeof(elf::Phdr);
  for (const Load& load : loads_) {
    next += (load.address - next) & (kPageSize - 1);
    loads.push_back({elf::kPtLoad, load.flags, next, load.address, load.address, load.bytes.size(),
                     load.memory_size, kPageSize});
    next += load.bytes.size();
  }
  std::vector<elf::Phdr> headers;
  for (const Other& other : others_)
    headers.push_back({other.type, elf::kFlagRead, offset_of(loads, other.address), other.address,
                       other.address, other.size, other.size, 1});
  headers.insert(headers.end(), loads.begin(), loads.end());
  return headers;
}

Bytes ElfBuilder::build() const {
  const std::vector<elf::Phdr> headers = lay_out();
  elf::Ehdr ehdr{};
  std::copy(std::begin(elf::kMagic), std::end(elf::kMagic), ehdr.ident);
  ehdr.ident[4] = elf::kClass64;
  ehdr.ident[5] = elf::kDataLittle;
  ehdr.ident[6] = 1;
  ehdr.type = type_;
  ehdr.machine = elf::kMachineX8664;
  ehdr.version = 1;
  ehdr.phoff = kPhdrOffset;
  ehdr.ehsize = sizeof(elf::Ehdr);
  ehdr.phentsize = sizeof(elf::Phdr);
  ehdr.phnum = static_cast<uint16_t>(headers.size());
  for (const Load& load : loads_)
    if ((load.flags & elf::kFlagExec) != 0 && ehdr.entry == 0) ehdr.entry = load.address;
  ehdr.entry = entry_.value_or(ehdr.entry);
  Bytes file(sizeof(ehdr));
  for (size_t i = 0, load = 0; i < headers.size(); ++i) {
    place(file, kPhdrOffset + i * sizeof(elf::Phdr), bytes_of(headers[i]));
    if (headers[i].type == elf::kPtLoad) place(file, headers[i].offset, loads_[load++].bytes);
  }
  place(file, 0, bytes_of(ehdr));
  if (!symbols_.empty() || !sections_.empty()) append_sections(file, headers);
  return std::move(file) + payload_;
}

// Sections: null, those asked for, .symtab, .strtab, .shstrtab.
void ElfBuilder::append_sections(Bytes& file, const std::vector<elf::Phdr>& headers) const {
  std::vector<elf::Shdr> table(1);
  Bytes names = hex("00"), strings = hex("00"), symbols(sizeof(elf::Sym));
  for (const Section& section : sections_) {
    elf::Shdr header = section.header;
    header.name = add_name(names, section.name);
    header.offset = offset_of(headers, header.addr);
    table.push_back(header);
  }
  for (const Symbol& symbol : symbols_) {
    elf::Sym entry = symbol.entry;
    entry.name = add_name(strings, symbol.name);
    symbols = std::move(symbols) + bytes_of(entry);
  }
  const auto append = [&](const char* name, uint32_t type, const Bytes& bytes) {
    elf::Shdr header{};
    header.name = add_name(names, name);
    header.type = type;
    header.offset = file.size();
    header.size = bytes.size();
    header.addralign = 1;
    if (type == elf::kShtSymtab) {
      header.link = static_cast<uint32_t>(table.size() + 1);
      header.info = 1;
      header.entsize = sizeof(elf::Sym);
    }
    file = std::move(file) + bytes;
    table.push_back(header);
  };
  append(".symtab", elf::kShtSymtab, symbols);
  append(".strtab", elf::kShtStrtab, strings);
  const Bytes all_names = names + text(".shstrtab") + hex("00");
  append(".shstrtab", elf::kShtStrtab, all_names);
  const uint64_t shoff = file.size();
  for (const elf::Shdr& header : table) file = std::move(file) + bytes_of(header);
  auto ehdr = *load<elf::Ehdr>(file, 0);
  ehdr.shoff = shoff;
  ehdr.shentsize = sizeof(elf::Shdr);
  ehdr.shnum = static_cast<uint16_t>(table.size());
  ehdr.shstrndx = static_cast<uint16_t>(table.size() - 1);
  place(file, 0, bytes_of(ehdr));
}

Bytes counted_by_the_null_entry(Bytes file) {
  auto header = *load<elf::Ehdr>(file, 0);
  auto null = *load<elf::Shdr>(file, header.shoff);
  null.size = header.shnum;
  null.link = header.shstrndx;
  header.shnum = 0;
  header.shstrndx = elf::kShnXIndex;
  return with(with(std::move(file), header.shoff, null), 0, header);
}

ElfBuilder code_file(Bytes code) {
  const uint64_t size = code.size();
  return ElfBuilder().code(kCode, std::move(code)).symbol("f", kCode, size);
}

namespace {

// Version 1, augmentation z + R (pcrel | sdata4), L (absolute udata4) and S where asked for.
Bytes cie(const Frame& frame) {
  std::string augmentation = "zR";
  Bytes data = hex("1b");
  if (frame.lsda != 0) {
    augmentation = "zLR";
    data = hex("03 1b");
  }
  if (frame.signal_frame) augmentation += "S";
  Bytes body = hex("00 00 00 00  01") + text(augmentation) + hex("00  01 78 10");
  body = std::move(body) + bytes_of(static_cast<uint8_t>(data.size())) + data;
  while (body.size() % 4 != 0) body.push_back(std::byte{0});
  return bytes_of(static_cast<uint32_t>(body.size())) + body;
}

}  // namespace

Bytes with_loaded_headers(Bytes file) {
  const auto ehdr = *load<elf::Ehdr>(file, 0);
  for (uint16_t i = 0; i < ehdr.phnum; ++i) {
    const uint64_t at = ehdr.phoff + i * sizeof(elf::Phdr);
    auto header = *load<elf::Phdr>(file, at);
    if (header.type != elf::kPtLoad) continue;
    header.vaddr = header.paddr = header.vaddr - header.offset;
    header.filesz += header.offset;
    header.memsz += header.offset;
    header.offset = 0;
    place(file, at, bytes_of(header));
    return file;
  }
  std::abort();
}

Bytes eh_frame(uint64_t address, const std::vector<Frame>& frames) {
  Bytes out;
  for (const Frame& frame : frames) {
    const auto cie_offset = static_cast<uint32_t>(out.size());
    out = std::move(out) + cie(frame);
    const auto fde = static_cast<uint32_t>(out.size());
    Bytes body = bytes_of(fde + 4 - cie_offset);
    const uint64_t pc_field = address + fde + 8;
    body = std::move(body) + bytes_of(static_cast<int32_t>(frame.start - pc_field)) +
           bytes_of(static_cast<uint32_t>(frame.size));
    body = std::move(body) +
           (frame.lsda != 0 ? hex("04") + bytes_of(static_cast<uint32_t>(frame.lsda)) : hex("00"));
    while (body.size() % 4 != 0) body.push_back(std::byte{0});
    out = std::move(out) + bytes_of(static_cast<uint32_t>(body.size())) + body;
  }
  return std::move(out) + hex("00 00 00 00");
}

Bytes eh_frame_header(uint64_t address, uint64_t eh_frame_address) {
  // version 1; eh_frame_ptr pcrel sdata4; no count, no table
  return hex("01 1b ff ff") + bytes_of(static_cast<int32_t>(eh_frame_address - (address + 4)));
}

}  // namespace sysrewrite::test
