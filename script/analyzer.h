/* Included before every file that clang-tidy looks at but error.c: what the analyzer cannot see from there. */
#include "base/error.h"

#define error_set(...) (error_set(__VA_ARGS__), false)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), false)
#define error_wrap(...) (error_wrap(__VA_ARGS__), false)
