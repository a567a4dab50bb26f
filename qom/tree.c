/* The composition tree: children, names, paths, taking out and down. The contract is in qom/qom.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "qom/internal.h"

/* ---- Look-up of (parent, name) ---- */

static size_t hash_of(const Object *parent, const char *name, size_t len)
{
    uint64_t h = (uintptr_t)parent ^ 0xcbf29ce484222325u; /* FNV-1a, 64 bits */

    for (size_t i = 0; i < len; i++) {
        h = (h ^ (uint8_t)name[i]) * 0x100000001b3u;
    }
    return (h ^ h >> 29) * 0x9e3779b97f4a7c15u >> 20;
}

static Object **bucket_of(const QomTree *tree, const Object *parent, const char *name, size_t len)
{
    return &tree->buckets[hash_of(parent, name, len) & (tree->num_buckets - 1)];
}

static void hash_grow(QomTree *tree)
{
    Object **old = tree->buckets;
    size_t num_old = tree->num_buckets;

    tree->num_buckets = num_old ? num_old * 2 : 64;
    tree->buckets = qom_alloc(tree->num_buckets, sizeof(*tree->buckets));
    for (size_t i = 0; i < num_old; i++) {
        while (old[i]) {
            Object *o = old[i];
            Object **b = bucket_of(tree, o->parent, o->name, strlen(o->name));

            old[i] = o->hash_next;
            o->hash_next = *b;
            *b = o;
        }
    }
    free(old);
}

void tree_hash_add(Object *o)
{
    QomTree *tree = o->tree;
    Object **b;

    if (tree->num_named >= tree->num_buckets) {
        hash_grow(tree);
    }
    b = bucket_of(tree, o->parent, o->name, strlen(o->name));
    o->hash_next = *b;
    *b = o;
    tree->num_named++;
}

void tree_hash_remove(Object *o)
{
    Object **b = bucket_of(o->tree, o->parent, o->name, strlen(o->name));

    for (; *b != o; b = &(*b)->hash_next) {
        assert(*b);
    }
    *b = o->hash_next;
    o->tree->num_named--;
}

static Object *child_n(const Object *parent, const char *name, size_t len)
{
    const QomTree *tree = parent->tree;
    Object *o = tree->num_buckets ? *bucket_of(tree, parent, name, len) : NULL;

    for (; o; o = o->hash_next) {
        if (o->parent == parent && strncmp(o->name, name, len) == 0 && !o->name[len]) {
            return o;
        }
    }
    return NULL;
}

Object *object_child(const Object *parent, const char *name)
{
    return child_n(parent, name, strlen(name));
}

/* ---- Adding ---- */

static unsigned height_of(const Object *o)
{
    unsigned max = 0;

    for (Object *c = (Object *)o; c; c = object_next(o, c)) {
        unsigned d = 0;

        for (const Object *p = c; p != o; p = p->parent) {
            d++;
        }
        max = d > max ? d : max;
    }
    return max;
}

/* "device[*]" -> "device[0]", the lowest index that is free. */
static char *free_name(const Object *parent, const char *name)
{
    size_t len = strlen(name);

    if (len < 3 || strcmp(name + len - 3, "[*]") != 0) {
        return qom_strdup(name);
    }
    for (unsigned i = 0;; i++) {
        char *s = qom_printf("%.*s[%u]", (int)(len - 3), name, i);

        if (!object_child(parent, s)) {
            return s;
        }
        free(s);
    }
}

static void set_depth(Object *top)
{
    for (Object *o = top; o; o = object_next(top, o)) {
        o->depth = o->parent->depth + 1;
    }
}

static bool name_is_taken(Object *parent, const char *name)
{
    ClassParts parts;
    const QClass *level;
    PartMember pm;

    qclass_parts(parent->klass, &parts);
    return object_child(parent, name) || strcmp(name, "type") == 0 || parts_member(&parts, name, &pm) ||
           qclass_info_member(parent->klass, name, &level);
}

bool object_add_child(Object *parent, const char *name, Object *o, Error **errp)
{
    char *own_name;

    assert(!o->parent && o != o->tree->root && o->tree == parent->tree && !object_is_below(parent, o));
    if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return error_set(errp, "'%s' cannot be the name of an object: it must not be empty, '.' or '..', nor have a '/'",
                         name);
    }
    if (name_is_taken(parent, name)) {
        return error_set(errp, "attempt to add duplicate property '%s' to object (type '%s')", name,
                         parent->klass->item.name);
    }
    if (parent->depth + 1 + height_of(o) > TREE_DEPTH_MAX) {
        return error_set(errp, "object '%s' would be more than %d levels deep in the tree", name, TREE_DEPTH_MAX);
    }
    own_name = free_name(parent, name);
    o->name = own_name;
    o->parent = parent;
    o->prev_sibling = parent->last_child;
    *(parent->last_child ? &parent->last_child->next_sibling : &parent->first_child) = o;
    parent->last_child = o;
    set_depth(o);
    tree_hash_add(o);
    object_ref(o);
    return true;
}

Object *object_container(Object *parent, const char *name, Error **errp)
{
    Object *o = object_child(parent, name);
    bool ok;

    if (o) {
        if (o->klass == &qclass_container) {
            return o;
        }
        error_set(errp, "'%s' is a %s, not a container", name, o->klass->item.name);
        return NULL;
    }
    o = object_new(parent->tree, &qclass_container, NULL, errp);
    if (!o) {
        return NULL;
    }
    ok = object_add_child(parent, name, o, errp) && object_realize(o, errp);
    object_unref(o);
    return ok ? o : NULL;
}

/* ---- Taking out ---- */

static void unhook(Object *o)
{
    Object *parent = o->parent;

    tree_hash_remove(o);
    *(o->prev_sibling ? &o->prev_sibling->next_sibling : &parent->first_child) = o->next_sibling;
    *(o->next_sibling ? &o->next_sibling->prev_sibling : &parent->last_child) = o->prev_sibling;
    o->prev_sibling = o->next_sibling = o->parent = NULL;
    free(o->name);
    o->name = NULL;
    for (Object *c = o; c; c = object_next(o, c)) {
        c->depth = c->parent ? c->parent->depth + 1 : 0;
    }
}

void object_unparent(Object *o)
{
    if (!o->parent) {
        return;
    }
    object_ref(o);
    object_unrealize(o);
    while (o->last_child) {
        object_unparent(o->last_child);
    }
    if (o->parent) { /* a callback may have been faster */
        unhook(o);
        o->life = OBJECT_GONE;
        object_unref(o); /* the parent's */
    }
    object_unref(o);
}

bool object_delete(Object *o, Error **errp)
{
    for (Object *c = o; c; c = object_next(o, c)) {
        for (ObjectLink *l = c->users; l; l = l->next_user) {
            /* What is gone keeps its references until it is freed, but uses nothing any more. */
            if (l->user->life != OBJECT_GONE && !object_is_below(l->user, o)) {
                char *path = object_path(l->user);

                error_set(errp, "object '%s' is in use, can not be deleted", o->name ? o->name : "(unnamed)");
                error_hint(errp, "it is '%s' of %s (%s)", l->name, path ? path : "an object outside the tree",
                           l->user->klass->item.name);
                free(path);
                return false;
            }
        }
    }
    object_unparent(o);
    return true;
}

/* ---- The tree itself ---- */

QomTree *qom_tree_new(const QSchema *schema, const QomValues *values)
{
    QomTree *tree = qom_alloc(1, sizeof(*tree));

    tree->schema = schema;
    tree->values = values;
    tree->root = object_new(tree, &qclass_container, NULL, &error_abort);
    object_realize(tree->root, &error_abort);
    tree->objects = object_container(tree->root, "objects", &error_abort);
    tree->chardevs = object_container(tree->root, "chardevs", &error_abort);
    return tree;
}

void qom_tree_free(QomTree *tree)
{
    if (!tree) {
        return;
    }
    object_unrealize(tree->root);
    while (tree->root->last_child) {
        object_unparent(tree->root->last_child);
    }
    object_unref(tree->root);
    qom_tree_reap(tree);
    assert(tree->num_objects == 0);
    for (size_t i = 0; i < tree->num_globals; i++) {
        free(tree->globals[i].class_name);
        free(tree->globals[i].property);
        json_object_put(tree->globals[i].value);
    }
    free(tree->globals);
    free(tree->buckets);
    free(tree);
}

const QSchema *qom_schema(const QomTree *tree)
{
    return tree->schema;
}

const QomValues *qom_values_of(const QomTree *tree)
{
    return tree->values;
}

Object *qom_root(QomTree *tree)
{
    return tree->root;
}

Object *qom_objects(QomTree *tree)
{
    return tree->objects;
}

Object *qom_chardevs(QomTree *tree)
{
    return tree->chardevs;
}

Object *qom_machine(QomTree *tree)
{
    return object_child(tree->root, "machine");
}

bool qom_set_machine(QomTree *tree, Object *machine, Error **errp)
{
    return object_add_child(tree->root, "machine", machine, errp) && object_container(machine, "peripheral", errp) &&
           object_container(machine, "peripheral-anon", errp) && object_container(machine, "unattached", errp);
}

/* ---- Walking and paths ---- */

Object *object_next(const Object *top, Object *o)
{
    if (o->first_child) {
        return o->first_child;
    }
    while (o != top && !o->next_sibling) {
        o = o->parent;
    }
    return o == top ? NULL : o->next_sibling;
}

bool object_is_below(const Object *o, const Object *top)
{
    while (o && o != top) {
        o = o->parent;
    }
    return o == top;
}

char *object_path(const Object *o)
{
    const Object *chain[TREE_DEPTH_MAX + 1];
    unsigned n = 0;
    size_t len = 1;
    char *path;
    char *end;

    if (!object_is_below(o, o->tree->root)) {
        return NULL;
    }
    for (; o->parent; o = o->parent) {
        assert(n <= TREE_DEPTH_MAX);
        chain[n++] = o;
        len += strlen(o->name) + 1;
    }
    path = end = qom_alloc(len + 1, 1);
    while (n > 0) {
        *end++ = '/';
        end = stpcpy(end, chain[--n]->name);
    }
    if (end == path) {
        *end = '/';
    }
    return path;
}

char *object_id(const Object *o)
{
    const QomTree *tree = o->tree;
    const Object *p = o->parent;
    const Object *machine = object_child(tree->root, "machine");

    if (p && (p == tree->objects || p == tree->chardevs || p == object_child(tree->root, "blockdevs") ||
              (machine && p->parent == machine && strcmp(p->name, "peripheral") == 0))) {
        return qom_strdup(o->name);
    }
    return object_path(o);
}

/* Follows path from o through children and links; empty components do not count. NULL: leads nowhere. */
static Object *follow(Object *o, const char *path)
{
    while (o) {
        size_t len;

        path += strspn(path, "/");
        len = strcspn(path, "/");
        if (!len) {
            return o;
        }
        Object *next = child_n(o, path, len);

        if (!next) {
            char *name = strndup(path, len);

            next = name ? object_step(o, name) : NULL;
            free(name);
        }
        o = next;
        path += len;
    }
    return NULL;
}

static bool resolve_partial(QomTree *tree, const char *path, Object **found)
{
    *found = NULL;
    for (Object *o = tree->root; o; o = object_next(tree->root, o)) {
        Object *hit = follow(o, path);

        if (hit && *found && hit != *found) {
            return false;
        }
        *found = hit ? hit : *found;
    }
    return true;
}

Object *qom_resolve(QomTree *tree, const char *path, Error **errp)
{
    Object *found;

    if (path[0] == '/') {
        found = follow(tree->root, path);
    } else if (!resolve_partial(tree, path, &found)) {
        error_set(errp, "Path '%s' is ambiguous", path);
        return NULL;
    }
    if (!found) {
        error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", path);
    }
    return found;
}

Object *qom_resolve_ref(QomTree *tree, const char *id, const char *class_name, Error **errp)
{
    Object *machine = qom_machine(tree);
    Object *peripheral = machine ? object_child(machine, "peripheral") : NULL;
    Object *places[] = {tree->objects, tree->chardevs, object_child(tree->root, "blockdevs"), peripheral};
    Object *other = id[0] == '/' ? follow(tree->root, id) : NULL;

    for (size_t i = 0; i < 4 && id[0] != '/'; i++) {
        Object *o = places[i] ? object_child(places[i], id) : NULL;

        if (o && object_is_a(o, class_name)) {
            return o;
        }
        other = other ? other : o;
    }
    if (other && object_is_a(other, class_name)) {
        return other;
    }
    if (other) {
        error_set(errp, "'%s' is a %s, not a %s", id, other->klass->item.name, class_name);
    } else {
        error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    }
    return NULL;
}

/* ---- info qom-tree ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(Object *const *)a)->name, (*(Object *const *)b)->name);
}

static void print_tree(FILE *f, Object *o, unsigned indent)
{
    size_t n = 0, i = 0;
    Object **children;

    fprintf(f, "%*s/%s (%s)\n", (int)indent, "", o->name ? o->name : "", o->klass->item.name);
    for (Object *c = o->first_child; c; c = c->next_sibling) {
        n++;
    }
    children = qom_alloc(n, sizeof(*children));
    for (Object *c = o->first_child; c; c = c->next_sibling) {
        children[i++] = c;
    }
    qsort(children, n, sizeof(*children), by_name);
    for (i = 0; i < n; i++) {
        print_tree(f, children[i], indent + 2);
    }
    free(children);
}

char *qom_tree_text(Object *top)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) {
        return qom_strdup("");
    }
    print_tree(f, top, 0);
    fclose(f);
    return text;
}
