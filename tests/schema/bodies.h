/* The example commands' QCallContext is a char[32] that the function called writes to. */
#ifndef TESTS_SCHEMA_BODIES_H
#define TESTS_SCHEMA_BODIES_H

#include "tests/schema/flash.gen.h"
#include "tests/schema/items.gen.h"
#include "tests/schema/machine.gen.h"
#include "tests/schema/ide.gen.h"
#include "tests/schema/x86cpu.gen.h"

#endif
