/* Nodes as devices see them: requests from any thread, answered under the device's lock. Contract: block/block.h. */
#include "block/block.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>

#include "block/internal.h"
#include "qapi/json.h"

/* ---- Requests, in coroutines ---- */

static uint64_t iov_len(const BlockRequest *r)
{
    uint64_t n = 0;

    for (int i = 0; i < r->num_iov; i++) {
        n += r->iov[i].iov_len;
    }
    return n;
}

static int CO_FN perform(BlockDev *b, BlockRequest *r)
{
    uint64_t len = r->op == BLOCK_DISCARD ? r->len : iov_len(r);
    IoFlags flags = b->conf.writethrough ? IO_FUA : 0;
    IoSlice s = {.iov = r->iov};

    if (r->op == BLOCK_FLUSH) {
        return node_flush(b->node);
    }
    if (!range_within(r->offset, len, node_length(b->node))) {
        return -EINVAL;
    }
    if (r->op == BLOCK_READ) {
        return node_read(b->node, r->offset, len, s);
    }
    if (b->node->read_only) {
        return -EROFS;
    }
    return r->op == BLOCK_WRITE ? node_write(b->node, r->offset, len, s, flags) : node_discard(b->node, r->offset, len);
}

static void finished(BlockDev *b, BlockRequest *r, bool was_running)
{
    mutex_lock(&b->ctx->lock);
    list_append(&b->done, &r->link);
    b->running -= was_running;
    loop_work_schedule(&b->done_work);
    cond_broadcast(&b->changed);
    mutex_unlock(&b->ctx->lock); /* b may be gone from here on */
}

static void CO_FN run_request(void *opaque)
{
    BlockRequest *r = opaque;

    r->result = perform(r->dev, r);
    finished(r->dev, r, true);
}

/* In the graph's loop. */
static void start_requests(void *opaque)
{
    BlockDev *b = opaque;
    ListLink *l;

    do {
        mutex_lock(&b->ctx->lock);
        l = list_pop(&b->queue);
        mutex_unlock(&b->ctx->lock);
        if (l) {
            co_enter(co_new(run_request, container_of(l, BlockRequest, link)));
        }
    } while (l);
}

void blockdev_submit(BlockDev *b, BlockRequest *r)
{
    assert(b->attached);
    r->dev = b;
    r->link = (ListLink){0};
    r->result = -EAGAIN;
    if (r->op == BLOCK_READ && range_within(r->offset, iov_len(r), node_length(b->node))) {
        r->result = node_read_now(b->node, r->offset, r->iov, r->num_iov, iov_len(r));
    }
    if (r->result != -EAGAIN) {
        finished(b, r, false); /* answered later all the same */
        return;
    }
    mutex_lock(&b->ctx->lock);
    b->running++;
    list_append(&b->queue, &r->link);
    loop_work_schedule(&b->start_work);
    mutex_unlock(&b->ctx->lock);
}

/* Takes the next that has run, or NULL. With the domain held: who pops it answers it at once. */
static BlockRequest *pop_done(BlockDev *b)
{
    ListLink *l;

    mutex_lock(&b->ctx->lock);
    l = list_pop(&b->done);
    mutex_unlock(&b->ctx->lock);
    return l ? container_of(l, BlockRequest, link) : NULL;
}

static void answer_in_loop(void *opaque)
{
    BlockDev *b = opaque;
    BlockRequest *r;

    do {
        FairMutex *domain = b->domain;

        if (domain) {
            fair_mutex_lock(domain);
        }
        r = pop_done(b);
        if (r) {
            r->done(r->opaque, r->result);
        }
        if (domain) {
            fair_mutex_unlock(domain);
        }
    } while (r);
}

void blockdev_drain(BlockDev *b)
{
    for (;;) {
        BlockRequest *r = pop_done(b);
        bool idle;

        if (r) {
            r->done(r->opaque, r->result);
            continue;
        }
        mutex_lock(&b->ctx->lock);
        while (b->running && list_is_empty(&b->done)) {
            cond_wait(&b->changed, &b->ctx->lock);
        }
        idle = !b->running && list_is_empty(&b->done);
        mutex_unlock(&b->ctx->lock);
        if (idle) {
            return;
        }
    }
}

static void drain_one(BlockDev *b, void *opaque)
{
    blockdev_drain(b);
}

void block_drain_all(BlockContext *ctx)
{
    blockdev_foreach(ctx->tree, drain_one, NULL);
}

/* ---- The graph's side of life ---- */

typedef struct {
    BlockContext *ctx;
    BlockDev *b;
    const BlockdevNew *how;
    BlockNode *node;
    BlockChild *use;
    const char *name;
    Error **errp;
} Call;

static void CO_FN do_use(void *opaque)
{
    Call *c = opaque;
    bool ro = c->node->read_only;

    c->use = node_use(c->node, NULL, c->name, ro ? PERM_READ : PERM_READ | PERM_WRITE,
                      PERM_READ | PERM_WRITE_UNCHANGED | (ro ? 0 : PERM_RESIZE), c->errp);
}

static void CO_FN do_unuse(void *opaque)
{
    node_unuse(((Call *)opaque)->use);
}

static void CO_FN do_open(void *opaque)
{
    Call *c = opaque;

    if (c->how->snapshot) {
        c->node = block_open_temporary(c->ctx, c->how->filename, c->how->format, c->how->how, c->errp);
    } else {
        c->node = c->how->options ? block_open_json(c->ctx, c->how->options, c->how->text, &(BlockOpen){0}, c->errp)
                                  : block_open_file(c->ctx, c->how->filename, c->how->format, c->how->how, c->errp);
    }
}

static void CO_FN do_unref(void *opaque)
{
    node_unref(((Call *)opaque)->node);
}

static void release_node(BlockDev *b)
{
    Call c = {.node = b->node};

    block_run(b->ctx, do_unref, &c);
    b->node = NULL;
}

static bool take_use(BlockDev *b, Error **errp)
{
    Call c = {.node = b->node, .name = blockdev_id(b), .errp = errp};

    block_run(b->ctx, do_use, &c);
    b->use = c.use;
    return b->use;
}

static void give_up_use(BlockDev *b)
{
    Call c = {.use = b->use};

    b->use = NULL;
    block_run(b->ctx, do_unuse, &c);
}

BlockNode *blockdev_node(BlockDev *b)
{
    return b->node;
}

/* ---- Class 'blockdev' ---- */

static bool blockdev_init(Object *o, Error **errp)
{
    BlockDev *b = BLOCKDEV(o);

    list_init(&b->done);
    list_init(&b->queue);
    cond_init(&b->changed);
    return true;
}

static bool blockdev_realize(Object *o, Error **errp)
{
    BlockDev *b = BLOCKDEV(o);

    if (!b->ctx) {
        return error_set(errp, "class '%s' is not made this way", o->klass->item.name);
    }
    loop_work_init(&b->done_work, b->ctx->loop, answer_in_loop, b);
    loop_work_init(&b->start_work, b->ctx->io_loop, start_requests, b);
    return true;
}

static void blockdev_unrealize(Object *o)
{
    BlockDev *b = BLOCKDEV(o);

    blockdev_drain(b);
    loop_work_cancel(&b->done_work);
    if (b->use) {
        give_up_use(b);
    }
    release_node(b); /* also waits for what start_requests may still be doing in its loop */
}

static void blockdev_finish(Object *o)
{
    if (BLOCKDEV(o)->done.head.next) {
        cond_finish(&BLOCKDEV(o)->changed);
    }
}

const ObjectOps blockdev_ops = {
    .size = sizeof(BlockDev),
    .conf_offset = offsetof(BlockDev, conf),
    .init = blockdev_init,
    .realize = blockdev_realize,
    .unrealize = blockdev_unrealize,
    .finish = blockdev_finish,
};

/* ---- Making and finding ---- */

/* Takes the reference to node when it succeeds. */
static BlockDev *new_object(BlockContext *ctx, const char *id, BlockNode *node, bool writethrough, Error **errp)
{
    Object *folder = object_container(qom_root(ctx->tree), "blockdevs", errp), *o;
    struct json_object *props = json_object_new_object();
    QomConf conf = {0};
    bool ok;

    qjson_add(props, "node", json_object_new_string(node->name));
    qjson_add(props, "writethrough", json_object_new_boolean(writethrough));
    ok = folder && qom_conf_build(ctx->tree, &qclass_blockdev, props, false, &conf, errp);
    json_object_put(props);
    o = ok ? object_new(ctx->tree, &qclass_blockdev, &conf, errp) : NULL;
    if (!o) {
        return NULL;
    }
    BLOCKDEV(o)->ctx = ctx;
    ok = object_add_child(folder, id, o, errp);
    if (ok) {
        BLOCKDEV(o)->node = node;
        ok = object_realize(o, errp);
        if (!ok) {
            BLOCKDEV(o)->node = NULL;
            object_unparent(o);
        }
    }
    object_unref(o); /* the tree has it */
    return ok ? BLOCKDEV(o) : NULL;
}

BlockDev *blockdev_new(BlockContext *ctx, const char *id, const BlockdevNew *how, Error **errp)
{
    Call c = {.ctx = ctx, .how = how, .errp = errp};
    BlockDev *b;

    if (blockdev_find(ctx->tree, id)) {
        error_set(errp, "Duplicate nodes with node-name='%s'", id);
        return NULL;
    }
    block_run(ctx, do_open, &c);
    if (!c.node) {
        return NULL;
    }
    b = new_object(ctx, id, c.node, how->writethrough, errp);
    if (!b) {
        block_run(ctx, do_unref, &c);
        return NULL;
    }
    b->is_drive = how->drive;
    if (how->drive && !take_use(b, errp)) {
        object_delete(&b->obj, NULL);
        return NULL;
    }
    return b;
}

BlockDev *blockdev_find(QomTree *tree, const char *id)
{
    Object *folder = object_child(qom_root(tree), "blockdevs");

    return folder ? BLOCKDEV(object_child(folder, id)) : NULL;
}

void blockdev_foreach(QomTree *tree, void (*fn)(BlockDev *, void *opaque), void *opaque)
{
    Object *folder = object_child(qom_root(tree), "blockdevs");

    for (Object *o = folder ? folder->first_child : NULL; o; o = o->next_sibling) {
        fn(BLOCKDEV(o), opaque);
    }
}

bool blockdev_delete(QomTree *tree, const char *id, Error **errp)
{
    BlockDev *b = blockdev_find(tree, id);

    if (!b) {
        return error_set(errp, "Failed to find node with node-name='%s'", id);
    }
    if (b->attached || node_num_users(b->node) > (b->use ? 1 : 0)) {
        return error_set(errp, "Node %s is in use", id);
    }
    return object_delete(&b->obj, errp);
}

const char *blockdev_id(const BlockDev *b)
{
    return b->obj.name;
}

uint64_t blockdev_size(const BlockDev *b)
{
    return node_length(b->node);
}

bool blockdev_is_read_only(const BlockDev *b)
{
    return b->node->read_only;
}

bool blockdev_is_writethrough(const BlockDev *b)
{
    return b->conf.writethrough;
}

bool blockdev_is_drive(const BlockDev *b)
{
    return b->is_drive;
}

bool blockdev_attach(BlockDev *b, FairMutex *domain, Error **errp)
{
    if (b->attached) {
        return error_set(errp, "Drive '%s' is already in use by another device", blockdev_id(b));
    }
    if (!b->use && !take_use(b, errp)) {
        return false;
    }
    b->attached = true;
    b->domain = domain;
    return true;
}

void blockdev_detach(BlockDev *b)
{
    mutex_lock(&b->ctx->lock);
    assert(!b->running && list_is_empty(&b->done));
    mutex_unlock(&b->ctx->lock);
    loop_work_cancel(&b->done_work); /* a drain has left it nothing to do, and the domain may go */
    b->domain = NULL;
    b->attached = false;
    if (!b->is_drive) {
        give_up_use(b);
    }
}

bool blockdev_is_attached(const BlockDev *b)
{
    return b->attached;
}
