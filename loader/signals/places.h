// Where in the program a call comes from.
#ifndef SYSREWRITE_LOADER_SIGNALS_PLACES_H_
#define SYSREWRITE_LOADER_SIGNALS_PLACES_H_

#include "loader/include/sysload/hook.h"
#include "trampoline/address.h"

namespace sysrewrite {

// The address from which exactly the call of this stub is made again.
RuntimeAddr restart_of_call(RuntimeAddr tail);

// As sysload_api::place.
int place_of_call(RuntimeAddr tail, sysload_place* place);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_PLACES_H_
