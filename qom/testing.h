/*
 * Classes and a small value interpreter for the tests of qom/: booleans, integers, strings, references. Tables by
 * hand, as the generator would make them.
 */
#ifndef QOM_TESTING_H
#define QOM_TESTING_H

#include "qom/qom.h"
#include "qom/values.h"

enum { FAIL_INIT = 1, FAIL_REALIZE = 2, FAIL_LATE = 4 }; /* bits of conf member "fail"; LATE: in the derived class */

typedef struct {
    uint32_t size;
    uint32_t twice; /* default: twice size */
    uint8_t fail;
    char *label;
    void *peer;
} ThingConf;

typedef struct {
    uint8_t level;
    void *helper;
} ThingControl;

typedef struct {
    uint32_t count;
    char *label;
} ThingInfo;

typedef struct {
    uint8_t reg;
} ThingState;

typedef struct {
    Object obj;
    ThingConf conf;
    ThingControl control;
    ThingState st;
    uint32_t derived;
    void *memory; /* from init to finish */
    void *running; /* while realized */
} Thing;

typedef struct {
    ThingConf base;
    uint32_t parts;
} GadgetConf;

typedef struct {
    uint8_t reg;
} GadgetState;

typedef struct {
    Thing thing;
    GadgetConf conf;
    GadgetState st;
    void *running;
} Gadget;

typedef struct {
    uint8_t kind_pad;
    int kind;
    union {
        struct {
            void *target;
            uint32_t more;
        } far;
    } u;
} PickConf;

extern const QClass test_pick, test_thing, test_gadget, test_device, test_machine, test_abstract;
extern const QSchema test_schema;
extern const QomValues test_values;

/* What the classes did since the last call, as "realize a; " words. */
const char *test_log(void);

#endif
