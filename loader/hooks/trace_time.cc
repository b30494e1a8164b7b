// Times, in all the shapes that the kernel has for them.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr int64_t kNow = 0x3fffffff, kOmit = 0x3ffffffe;  // UTIME_NOW, UTIME_OMIT
constexpr int64_t kInterrupted = -4;                      // EINTR

void print_pair(const Printer& p, const TimePair& pair, bool nanoseconds) {
  p.line.text("{tv_sec=").decimal(pair.seconds);
  field(p.line, nanoseconds ? "tv_nsec" : "tv_usec")
      .unsigned_decimal(static_cast<uint64_t>(pair.fraction))
      .character('}');
}

// Interval and value.
void print_intervals(const Printer& p, uint64_t address, bool nanoseconds) {
  TimePair pairs[2]{};
  if (!p.fetch(address, pairs)) return;
  field(p.line, "it_interval", true);
  print_pair(p, pairs[0], nanoseconds);
  field(p.line, "it_value");
  print_pair(p, pairs[1], nanoseconds);
  p.line.character('}');
}

// The date in a comment; nothing for 0, nor for a year that is no int.
void print_date_comment(Line& line, const TimePair& pair, unsigned digits) {
  constexpr int64_t kFirst = -67768040609740800, kLast = 67768036191676799;
  if (pair.seconds == 0 && pair.fraction == 0) return;
  if (pair.seconds < kFirst || pair.seconds > kLast) return;
  if (pair.fraction < 0 || pair.fraction >= (digits == 6 ? 1000000 : 1000000000)) return;
  line.text(" /* ");
  print_date(line, pair.seconds);
  if (pair.fraction != 0) line.character('.').padded(static_cast<uint64_t>(pair.fraction), digits);
  line.text("+0000 */");
}

// A file's times: access and change.
void print_file_times(const Printer& p, uint64_t address, bool nanoseconds) {
  TimePair pairs[2]{};
  if (!p.fetch(address, pairs)) return;
  p.line.character('[');
  for (const TimePair& pair : pairs) {
    if (&pair != pairs) p.line.text(", ");
    if (nanoseconds && pair.fraction == kNow) {
      p.line.text("UTIME_NOW");
    } else if (nanoseconds && pair.fraction == kOmit) {
      p.line.text("UTIME_OMIT");
    } else {
      print_pair(p, pair, nanoseconds);
      print_date_comment(p.line, pair, nanoseconds ? 9 : 6);
    }
  }
  p.line.character(']');
}

void print_utimbuf(const Printer& p) {
  int64_t times[2]{};
  if (!p.fetch(p.argument(), times)) return;
  field(p.line, "actime", true).decimal(times[0]);
  print_date_comment(p.line, {times[0], 0}, 0);
  field(p.line, "modtime").decimal(times[1]);
  print_date_comment(p.line, {times[1], 0}, 0);
  p.line.character('}');
}

void print_timezone(const Printer& p) {
  int32_t zone[2]{};
  // gettimeofday fills it in, settimeofday reads it.
  if (p.leaving && p.failed()) {
    p.line.address(p.argument());
    return;
  }
  if (!p.fetch(p.argument(), zone)) return;
  field(p.line, "tz_minuteswest", true).decimal(zone[0]);
  field(p.line, "tz_dsttime").decimal(zone[1]).character('}');
}

// adjtimex: what the kernel thinks of its clock.
void print_timex(const Printer& p) {
  static constexpr char kErrors[3][9] = {"freq", "maxerror", "esterror"};
  static constexpr char kCounts[5][8] = {"stabil", "jitcnt", "calcnt", "errcnt", "stbcnt"};
  struct {
    uint32_t modes, padding;
    int64_t offset, errors[3];
    int32_t status, padding_2;
    int64_t constant, precision, tolerance;
    TimePair time;
    int64_t tick, frequency, jitter;
    int32_t shift, padding_3;
    int64_t counts[5];
    int32_t tai, reserved[11];
  } timex{};
  static_assert(sizeof(timex) == 208);  // struct timex of x86-64
  if (!p.fetch(p.argument(), timex)) return;
  field(p.line, "modes", true);
  Names(kNamesOfClockModes).flags(p.line, timex.modes);
  field(p.line, "offset").decimal(timex.offset);
  for (unsigned i = 0; i < 3; ++i) field(p.line, kErrors[i]).decimal(timex.errors[i]);
  field(p.line, "status");
  Names(kNamesOfClockStatus).flags(p.line, static_cast<uint32_t>(timex.status));
  field(p.line, "constant").decimal(timex.constant);
  field(p.line, "precision").decimal(timex.precision);
  field(p.line, "tolerance").decimal(timex.tolerance);
  field(p.line, "time");
  print_pair(p, timex.time, false);
  field(p.line, "tick").decimal(timex.tick);
  field(p.line, "ppsfreq").decimal(timex.frequency);
  field(p.line, "jitter").decimal(timex.jitter);
  field(p.line, "shift").decimal(timex.shift);
  for (unsigned i = 0; i < 5; ++i) field(p.line, kCounts[i]).decimal(timex.counts[i]);
  field(p.line, "tai").decimal(timex.tai).character('}');
}

// Clock ticks, of which there are 100 a second.
void print_tms(const Printer& p) {
  static constexpr char kFields[4][12] = {"tms_utime", "tms_stime", "tms_cutime", "tms_cstime"};
  uint64_t ticks[4]{};
  if (!p.fetch_result(p.argument(), ticks)) return;
  for (unsigned i = 0; i < 4; ++i) {
    field(p.line, kFields[i], i == 0).unsigned_decimal(ticks[i]);
    if (ticks[i] == 0) continue;
    p.line.text(" /* ").unsigned_decimal(ticks[i] / 100).character('.');
    p.line.padded(ticks[i] % 100, 2).text(" s */");
  }
  p.line.character('}');
}

}  // namespace

// Days to a date of the Gregorian calendar, whose years begin in March here: then February's length
// matters to nobody. 400 years have 146,097 days.
void print_date(Line& line, int64_t seconds) {
  constexpr int64_t kDay = 86400;
  const int64_t of_day = ((seconds % kDay) + kDay) % kDay;
  const int64_t days = (seconds - of_day) / kDay + 719468;  // since 0000-03-01
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153;  // 0 is March
  const int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
  const int64_t year = year_of_era + era * 400 + (month >= 10 ? 1 : 0);
  if (year < 0) line.character('-');
  line.padded(static_cast<uint64_t>(year < 0 ? -year : year), 4).character('-');
  line.padded(static_cast<uint64_t>(month < 10 ? month + 3 : month - 9), 2).character('-');
  line.padded(static_cast<uint64_t>(day), 2).character('T');
  line.padded(static_cast<uint64_t>(of_day / 3600), 2).character(':');
  line.padded(static_cast<uint64_t>(of_day / 60 % 60), 2).character(':');
  line.padded(static_cast<uint64_t>(of_day % 60), 2);
}

void print_timespec(const Printer& p, uint64_t address) {
  TimePair pair{};
  if (p.fetch(address, pair)) print_pair(p, pair, true);
}

void print_timeval(const Printer& p, uint64_t address) {
  TimePair pair{};
  if (p.fetch(address, pair)) print_pair(p, pair, false);
}

namespace {

// recvmmsg: the timeout as it was. Without memory for a copy, as it is.
void print_timeout_before(const Printer& p) {
  MessagesBefore before{};
  if (!p.peek(p.before, before)) {
    print_timespec(p, p.argument());
  } else if (before.has_timeout != 0) {
    print_pair(p, before.timeout, true);
  } else {
    p.line.address(p.argument());
  }
}

}  // namespace

void print_time(Printer& p, Kind kind) {
  const uint64_t address = p.argument();
  if (is_out(kind) && p.failed() && kind != Kind::Remaining) {
    p.line.address(address);
    return;
  }
  switch (kind) {
    case Kind::Timespec:
    case Kind::TimespecOut:
      return print_timespec(p, address);
    case Kind::Timeval:
    case Kind::TimevalOut:
      return print_timeval(p, address);
    case Kind::TimespecBefore:
      return print_timeout_before(p);
    case Kind::Timespecs:
      return print_file_times(p, address, true);
    case Kind::Timevals:
      return print_file_times(p, address, false);
    case Kind::Itimerspec:
    case Kind::ItimerspecOut:
      return print_intervals(p, address, true);
    case Kind::Itimerval:
    case Kind::ItimervalOut:
      return print_intervals(p, address, false);
    case Kind::Utimbuf:
      return print_utimbuf(p);
    case Kind::Timezone:
      return print_timezone(p);
    case Kind::TimexOut:
      return print_timex(p);
    case Kind::Tms:
      return print_tms(p);
    case Kind::Remaining:
      // Only an interrupted sleep says what is left.
      if (p.call.result == kInterrupted || p.call.result == SYSLOAD_RESTARTED)
        return print_timespec(p, address);
      p.line.address(address);
      return;
    case Kind::TimerOut: {
      int32_t timer = 0;
      if (p.fetch(address, timer)) p.line.character('[').decimal(timer).character(']');
      return;
    }
    case Kind::TimeOut: {
      int64_t seconds = 0;
      if (!p.fetch(address, seconds)) return;
      p.line.character('[').decimal(seconds);
      print_date_comment(p.line, {seconds, 0}, 0);
      p.line.character(']');
      return;
    }
    default:
      p.line.address(address);
  }
}

}  // namespace sysrewrite::trace
