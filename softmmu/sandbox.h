/* The filter of system calls that -sandbox sets, for all threads and for good. A second one adds to the first. */
#ifndef SOFTMMU_SANDBOX_H
#define SOFTMMU_SANDBOX_H

#include "softmmu/options.gen.h"
#include "util/error.h"

bool sandbox_install(const SandboxOption *o, Error **errp);

#endif
