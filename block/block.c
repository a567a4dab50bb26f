/* Block devices, their requests and the threads that run them. The contract is in block/block.h. */
#include "block/block.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>

#include "block/internal.h"

/* ---- The pool ---- */

static void run_one(BlockContext *ctx, BlockRequest *r)
{
    BlockDev *b = r->dev;
    const BlockDevOps *ops = object_iface(&b->obj);

    mutex_unlock(&ctx->lock);
    r->result = ops->run(b, r);
    mutex_lock(&ctx->lock);
    list_append(&b->done, &r->link);
    b->running--;
    cond_broadcast(&b->changed);
    loop_work_schedule(&b->done_work);
}

static void worker(void *opaque)
{
    BlockContext *ctx = opaque;

    mutex_lock(&ctx->lock);
    while (!ctx->stop || !list_is_empty(&ctx->queue)) {
        ListLink *l = list_first(&ctx->queue);

        if (!l) {
            ctx->num_idle++;
            cond_wait(&ctx->work, &ctx->lock);
            ctx->num_idle--;
            continue;
        }
        list_remove(l);
        run_one(ctx, container_of(l, BlockRequest, link));
    }
    mutex_unlock(&ctx->lock);
}

/* With the lock held. The first thread is needed; the others only make it faster. */
static void wake_worker(BlockContext *ctx)
{
    Error *err = NULL;

    if (ctx->num_idle == 0 && ctx->num_threads < BLOCK_THREADS) {
        if (thread_start(&ctx->threads[ctx->num_threads], "block", worker, ctx, ctx->num_threads ? &err : &error_abort)) {
            ctx->num_threads++;
        }
        error_free(err);
    }
    cond_signal(&ctx->work);
}

BlockContext *block_context_new(QomTree *tree, Loop *loop)
{
    BlockContext *ctx = g_new0(BlockContext, 1);

    ctx->tree = tree;
    ctx->loop = loop;
    mutex_init(&ctx->lock, LOCK_BLOCK);
    cond_init(&ctx->work);
    list_init(&ctx->queue);
    return ctx;
}

void block_context_free(BlockContext *ctx)
{
    if (!ctx) {
        return;
    }
    mutex_lock(&ctx->lock);
    ctx->stop = true;
    cond_broadcast(&ctx->work);
    mutex_unlock(&ctx->lock);
    for (unsigned i = 0; i < ctx->num_threads; i++) {
        thread_join(&ctx->threads[i]);
    }
    cond_finish(&ctx->work);
    mutex_finish(&ctx->lock);
    g_free(ctx);
}

/* ---- Requests ---- */

void blockdev_submit(BlockDev *b, BlockRequest *r)
{
    const BlockDevOps *ops = object_iface(&b->obj);

    assert(b->attached);
    r->dev = b;
    r->link = (ListLink){0};
    r->result = ops->run_now ? ops->run_now(b, r) : -EAGAIN;
    mutex_lock(&b->ctx->lock);
    if (r->result == -EAGAIN) {
        b->running++;
        list_append(&b->ctx->queue, &r->link);
        wake_worker(b->ctx);
    } else { /* answered later all the same */
        list_append(&b->done, &r->link);
        loop_work_schedule(&b->done_work);
    }
    mutex_unlock(&b->ctx->lock);
}

/* Takes the next that has run, or NULL. With the domain held: who pops it answers it at once. */
static BlockRequest *pop_done(BlockDev *b)
{
    ListLink *l;

    mutex_lock(&b->ctx->lock);
    l = list_first(&b->done);
    if (l) {
        list_remove(l);
    }
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

/* ---- Class 'blockdev' ---- */

static bool blockdev_init(Object *o, Error **errp)
{
    BlockDev *b = BLOCKDEV(o);

    list_init(&b->done);
    cond_init(&b->changed);
    return true;
}

static bool blockdev_realize(Object *o, Error **errp)
{
    BlockDev *b = BLOCKDEV(o);

    if (!b->ctx) {
        return error_set(errp, "class '%s' is not made this way", o->klass->item.name);
    }
    b->read_only = ((BlockdevConf *)object_conf(o))->read_only;
    loop_work_init(&b->done_work, b->ctx->loop, answer_in_loop, b);
    return true;
}

static void blockdev_unrealize(Object *o)
{
    blockdev_drain(BLOCKDEV(o));
    loop_work_cancel(&BLOCKDEV(o)->done_work);
}

static void blockdev_finish(Object *o)
{
    if (BLOCKDEV(o)->done.head.next) {
        cond_finish(&BLOCKDEV(o)->changed);
    }
}

const ObjectOps blockdev_ops = {
    .size = sizeof(BlockDev),
    .init = blockdev_init,
    .realize = blockdev_realize,
    .unrealize = blockdev_unrealize,
    .finish = blockdev_finish,
};

/* ---- Making and finding ---- */

BlockDev *blockdev_new(BlockContext *ctx, const char *id, const char *driver, struct json_object *props, bool text,
                       Error **errp)
{
    g_autofree char *name = g_strdup_printf("blockdev-%s", driver);
    const QClass *k = qschema_class(qom_schema(ctx->tree), name);
    Object *folder = object_container(qom_root(ctx->tree), "blockdevs", errp);
    QomConf conf = {0};
    Object *o;
    bool ok;

    if (!folder) {
        return NULL;
    }
    if (!k || k->abstract || !qclass_is_a(k, "blockdev")) {
        error_set(errp, "Unknown driver '%s'", driver);
        return NULL;
    }
    if (!qom_conf_build(ctx->tree, k, props, text, &conf, errp)) {
        return NULL;
    }
    o = object_new(ctx->tree, k, &conf, errp);
    if (!o) {
        return NULL;
    }
    BLOCKDEV(o)->ctx = ctx;
    ok = object_add_child(folder, id, o, errp);
    if (ok && !object_realize(o, errp)) {
        object_unparent(o);
        ok = false;
    }
    object_unref(o); /* the tree has it */
    return ok ? BLOCKDEV(o) : NULL;
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
    if (b->attached) {
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
    return b->size;
}

bool blockdev_is_read_only(const BlockDev *b)
{
    return b->read_only;
}

bool blockdev_attach(BlockDev *b, FairMutex *domain, Error **errp)
{
    if (b->attached) {
        return error_set(errp, "Drive '%s' is already in use by another device", blockdev_id(b));
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
}

bool blockdev_is_attached(const BlockDev *b)
{
    return b->attached;
}
