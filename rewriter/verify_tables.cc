#include "rewriter/verify_tables.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "trampoline/built_in_hooks.h"

namespace sysrewrite {

namespace {

class TableProof {
 public:
  TableProof(ByteView output, const RewrittenFile& file, Findings& findings)
      : output_(output), file_(file), meta_(file.meta()), findings_(findings) {}

  void check() {
    check_parts();
    check_ends();
    check_blob();
    check_numbers();
  }

 private:
  // What stands between the input and these parts then is proven with the symbols.
  bool symbols() const { return file_.has_sites() && (meta_.flags & kMetaSymbols) != 0; }
  uint64_t meta_at(size_t field) const { return file_.meta_offset().value + field; }

  void check_parts() {
    uint64_t at = sizeof(MetaHeader);
    const auto part = [&](const MetaRange& range, size_t field, const char* what, uint64_t element,
                          uint64_t alignment) {
      findings_.zeros(output_, meta_at(at), meta_at(align_up(at, alignment)),
                      "a gap of the metadata");
      at = align_up(at, alignment);
      findings_.same_number(meta_at(field), what, range.offset, at);
      at += range.count * element;
    };
    part(meta_.sites, offsetof(MetaHeader, sites), "the site table's offset", sizeof(SiteRecord),
         8);
    part(meta_.edits, offsetof(MetaHeader, edits), "the edit table's offset", sizeof(EditRecord),
         8);
    part(meta_.blob, offsetof(MetaHeader, blob), "the blob's offset", 1, 1);
    part(meta_.phdrs, offsetof(MetaHeader, phdrs), "the program headers' offset", sizeof(elf::Phdr),
         8);
    part(meta_.interp, offsetof(MetaHeader, interp), "the interpreter path's offset", 1, 1);
    part(meta_.options, offsetof(MetaHeader, options), "the options' offset", 1, 1);
    findings_.zeros(output_, meta_at(at), meta_at(meta_.meta_size), "the end of the metadata");
    findings_.same_number(meta_at(offsetof(MetaHeader, meta_size)), "the metadata's size",
                          meta_.meta_size, align_up(at, 16));
  }

  // Between the input, the trampoline, the metadata and the trailer there are zeros to the next
  // border, and nothing else.
  void check_ends() {
    if (file_.is_segment()) return;  // verify_segment()
    const Trailer& trailer = file_.trailer();
    const uint64_t input_end = meta_.input_size;
    const uint64_t trailer_at = output_.size() - sizeof(Trailer);
    uint64_t tail;
    if (file_.is_litebox()) {
      tail = symbols() ? file_.meta_offset().value : align_up(input_end, 16);
      findings_.same_number(trailer_at, "where the metadata starts", file_.meta_offset().value,
                            tail);
      const uint64_t locator_end =
          align_up(file_.meta_offset().value + meta_.meta_size + sizeof(MetaLocator),
                   trailer.size == 0 ? 1 : kPageSize);
      const uint64_t trampoline = trailer.size == 0 ? trailer_at : trailer.offset;
      findings_.same_number(trailer_at, "where the trampoline starts", trampoline, locator_end);
      findings_.zeros(output_, file_.meta_offset().value + meta_.meta_size,
                      trampoline - sizeof(MetaLocator), "the gap behind the metadata");
    } else {
      tail = symbols() ? trailer.offset : align_up(input_end, trailer.size == 0 ? 16 : kPageSize);
      findings_.same_number(trailer_at + offsetof(Trailer, offset), "where the trampoline starts",
                            trailer.offset, tail);
    }
    if (trailer.size == 0)
      findings_.same_number(trailer_at + offsetof(Trailer, vaddr), "the address of no trampoline",
                            trailer.vaddr, 0);
    if (!symbols()) findings_.zeros(output_, input_end, tail, "the gap behind the input");
  }

  // Each record's originals follow those of the one before.
  void check_blob() {
    uint64_t at = 0;
    for (uint32_t i = 0; i < file_.site_count(); ++i) {
      const SiteRecord site = file_.site(i);
      const uint64_t record = meta_at(meta_.sites.offset + uint64_t{i} * sizeof(SiteRecord));
      findings_.same_number(record + offsetof(SiteRecord, blob), "a site's place in the blob",
                            site.blob, at);
      findings_.same_number(record + offsetof(SiteRecord, reserved), "a site's reserved byte",
                            site.reserved, 0);
      at += site.window + (site.springboard == kNoSpringboard ? 0 : kSpringboardSize) +
            site.displaced * sizeof(DisplacedRecord);
    }
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      const uint64_t record = meta_at(meta_.edits.offset + uint64_t{i} * sizeof(EditRecord));
      findings_.same_number(record + offsetof(EditRecord, blob), "an edit's place in the blob",
                            edit.blob, at);
      findings_.same_number(record + offsetof(EditRecord, reserved), "an edit's reserved bytes",
                            edit.reserved, 0);
      at += edit.size;
    }
    findings_.same_number(meta_at(offsetof(MetaHeader, blob) + 4), "the blob's size",
                          meta_.blob.count, at);
  }

  void check_numbers() {
    findings_.same_number(meta_at(offsetof(MetaHeader, reserved)), "reserved bytes", meta_.reserved,
                          0);
    const uint64_t sum = uint64_t{meta_.inside_count} + meta_.data_count + meta_.uncertain_count +
                         meta_.instruction_count;
    findings_.same_number(meta_at(offsetof(MetaHeader, candidate_count)),
                          "the number of `0f 05` pairs", meta_.candidate_count, sum);
    constexpr uint32_t kKnown = kMetaPlainStub | kMetaNativeTail | kMetaLitebox |
                                kMetaHeadersMoved | kMetaInterpInPlace | kMetaInterpMoved |
                                kMetaInterpreter | kMetaSymbols | kMetaSegment | kMetaInterpSegment;
    constexpr uint32_t kElsewhere = kMetaHeadersMoved | kMetaInterpInPlace | kMetaInterpMoved;
    const uint32_t of_litebox =
        file_.is_litebox() ? uint32_t{kMetaNativeTail} | kElsewhere : uint32_t{0};
    const uint32_t impossible =
        ~kKnown |
        (file_.is_segment() ? uint32_t{kElsewhere} : uint32_t{kMetaInterpSegment} | of_litebox);
    findings_.same_number(meta_at(offsetof(MetaHeader, flags)), "flags that cannot be",
                          meta_.flags & impossible, 0);
    if (!file_.has_sites())
      findings_.same_number(meta_at(offsetof(MetaHeader, flags)), "the flag of symbols for no stub",
                            meta_.flags & uint32_t{kMetaSymbols}, 0);
    check_options();
  }

  static std::string_view text_of(ByteView bytes) {
    const void* start = bytes.data();
    return {static_cast<const char*>(start), bytes.size()};
  }

  // A hook that comes with sysload, or the path of an object; and what becomes of the vdso.
  static bool is_obeyed(std::string_view option) {
    constexpr std::string_view kHook = "hook=";
    constexpr std::string_view kBuiltIn[] = {"none",
#define SYSLOAD_BUILT_IN(hook) #hook,
                                             SYSLOAD_BUILT_IN_HOOKS
#undef SYSLOAD_BUILT_IN
    };
    if (option == "vdso=keep" || option == "vdso=hide") return true;
    if (!option.starts_with(kHook)) return false;
    const std::string_view rest = option.substr(kHook.size());
    const std::string_view name = rest.substr(0, rest.find(':'));
    return name.find_first_of("/\\") != std::string_view::npos ||
           std::find(std::begin(kBuiltIn), std::end(kBuiltIn), name) != std::end(kBuiltIn);
  }

  void check_options() {
    const ByteView options = file_.options();
    uint64_t start = 0;
    for (uint64_t at = 0; at < options.size(); ++at) {
      const auto byte = std::to_integer<unsigned>(options[at]);
      if (byte != 0 && (byte < 0x20 || byte == 0x7f))
        findings_.at_offset(meta_at(meta_.options.offset + at), "the options",
                            "a control character", "key=value");
      if (byte != 0) continue;
      const ByteView option = options.subspan(start, at - start);
      bool assigns = false;
      for (const std::byte b : option) assigns = assigns || b == std::byte{'='};
      if (!assigns || option[0] == std::byte{'='})
        findings_.at_offset(meta_at(meta_.options.offset + start), "an option", hex_text(option),
                            "key=value");
      else if (!is_obeyed(text_of(option)))
        findings_.at_offset(meta_at(meta_.options.offset + start), "an option", hex_text(option),
                            "one that sysload obeys: it does not start a program otherwise");
      start = at + 1;
    }
  }

  ByteView output_;
  const RewrittenFile& file_;
  const MetaHeader& meta_;
  Findings& findings_;
};

}  // namespace

void verify_tables(ByteView output, const RewrittenFile& file, Findings& findings) {
  TableProof(output, file, findings).check();
}

}  // namespace sysrewrite
