// fmt's own implementation, compiled once. Debian has fmt as a shared library, which would take
// libstdc++'s along, and as headers, which cost half of each file's compilation.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
// What fmt's headers declare to be instantiated elsewhere, as far as it is used here.
template FMT_API auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto decimal_point_impl(locale_ref) -> char;
template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;
}  // namespace detail
FMT_END_NAMESPACE
