/* Reset, and what follows a load: by class level, base class first. The contract is in qom/qom.h. */
#include <assert.h>

#include "qom/internal.h"

void *object_next_state(Object *o, const QClass **klass)
{
    ClassLevels levels;
    unsigned i = 0;

    qclass_levels(o->klass, &levels);
    while (*klass && levels.klass[i] != *klass) {
        i++;
    }
    for (i += *klass != NULL; i < levels.num; i++) {
        void *st = levels.ops[i] ? object_state(o, levels.klass[i]) : NULL;

        if (st) {
            *klass = levels.klass[i];
            return st;
        }
    }
    return NULL;
}

void object_reset(Object *o, ObjectResetKind kind)
{
    const QClass *klass = NULL;
    ClassLevels levels;
    void *st;

    while ((st = object_next_state(o, &klass))) {
        assert(o->tree->values->reset);
        o->tree->values->reset(klass->state, st, object_conf(o), kind == OBJECT_COLD_RESET);
    }
    qclass_levels(o->klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.ops[i] && levels.ops[i]->reset) {
            levels.ops[i]->reset(o, kind);
        }
    }
    object_rebuild(o);
}

bool object_check(Object *o, Error **errp)
{
    ClassLevels levels;

    qclass_levels(o->klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.ops[i] && levels.ops[i]->check && !levels.ops[i]->check(o, errp)) {
            return false;
        }
    }
    return true;
}

void object_rebuild(Object *o)
{
    ClassLevels levels;

    qclass_levels(o->klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.ops[i] && levels.ops[i]->rebuild) {
            levels.ops[i]->rebuild(o);
        }
    }
}
