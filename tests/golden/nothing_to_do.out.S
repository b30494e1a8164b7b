#include "golden.h"
        .text
        ret
