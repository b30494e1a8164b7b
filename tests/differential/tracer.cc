#include "tests/differential/tracer.h"

#include <Zydis/Zydis.h>
#include <ucontext.h>

#include <algorithm>
#include <bit>

namespace sysrewrite::differential {

namespace {

constexpr size_t kLongest = 15;  // bytes of an instruction

constexpr int kGregs[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                          REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

bool has_own_base(ZydisRegister segment) {
  return segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS;
}

}  // namespace

struct Tracer::Impl {
  ZydisDecoder decoder;
  ZydisDecodedInstruction in;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  ZydisRegisterContext context;
};

Tracer::Tracer(std::vector<AddressRange> forbidden, AddressRange exit, uint64_t segment_base)
    : forbidden_(std::move(forbidden)),
      exit_(exit),
      segment_base_(segment_base),
      impl_(std::make_unique<Impl>()) {
  ZydisDecoderInit(&impl_->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

Tracer::~Tracer() = default;

uint64_t Tracer::look_at(uint64_t rip, const greg_t* registers) {
  Impl& z = *impl_;
  const auto holds = [rip](const AddressRange& range) {
    return rip >= range.from && rip < range.to;
  };
  const AddressRange& code = holds(exit_) ? exit_ : forbidden_.front();
  if (!holds(code)) return 0;  // no bytes but these are to be read
  const size_t size = std::min<uint64_t>(kLongest, code.to - rip);
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&z.decoder, std::bit_cast<const void*>(rip), size, &z.in,
                                           z.operands)))
    return 0;
  for (size_t i = 0; i < std::size(kGregs); ++i)
    z.context.values[ZYDIS_REGISTER_RAX + i] = static_cast<ZyanU64>(registers[kGregs[i]]);
  for (size_t i = 0; i < z.in.operand_count; ++i) {
    const ZydisDecodedOperand& operand = z.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type != ZYDIS_MEMOP_TYPE_MEM)
      continue;
    ZyanU64 at = 0;
    if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&z.in, &operand, rip, &z.context, &at))) continue;
    if (has_own_base(operand.mem.segment)) at += segment_base_;
    // A push writes below the register that it names: widened on either side.
    const uint64_t from = at - 64, to = at + 64;
    touched_ = touched_ ||
               std::any_of(forbidden_.begin(), forbidden_.end(), [&](const AddressRange& range) {
                 return from < range.to && to > range.from;
               });
  }
  return z.in.length;
}

// No step is seen between a call and what follows it, so that is looked at with the call.
void Tracer::step(const greg_t* registers) {
  const auto rip = static_cast<uint64_t>(registers[REG_RIP]);
  const uint64_t length = look_at(rip, registers);
  if (length != 0 && impl_->in.mnemonic == ZYDIS_MNEMONIC_SYSCALL) look_at(rip + length, registers);
}

}  // namespace sysrewrite::differential
