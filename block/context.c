/* A block context: the loop its graph runs in, and the threads that wait for the host. Contract: block/node.h. */
#include <assert.h>
#include <glib.h>

#include "block/internal.h"

typedef struct {
    ListLink link;
    int (*fn)(void *opaque);
    void *opaque;
    Coroutine *co;
    int result;
} Job;

/* ---- The pool ---- */

static void worker(void *opaque)
{
    BlockContext *ctx = opaque;

    mutex_lock(&ctx->lock);
    while (!ctx->stop || !list_is_empty(&ctx->jobs)) {
        ListLink *l = list_pop(&ctx->jobs);
        Job *j;

        if (!l) {
            ctx->num_idle++;
            cond_wait(&ctx->work, &ctx->lock);
            ctx->num_idle--;
            continue;
        }
        mutex_unlock(&ctx->lock);
        j = container_of(l, Job, link);
        j->result = j->fn(j->opaque);
        co_wake(j->co);
        mutex_lock(&ctx->lock);
    }
    mutex_unlock(&ctx->lock);
}

int CO_FN block_in_thread(BlockContext *ctx, int (*fn)(void *opaque), void *opaque)
{
    Job j = {.fn = fn, .opaque = opaque, .co = co_self()};
    bool queued = true;

    mutex_lock(&ctx->lock);
    if (ctx->num_idle == 0 && ctx->num_threads < ctx->max_threads &&
        thread_start(&ctx->threads[ctx->num_threads], "block-io", worker, ctx, NULL)) {
        ctx->num_threads++;
    }
    queued = ctx->num_threads > 0;
    if (queued) {
        list_append(&ctx->jobs, &j.link);
        cond_signal(&ctx->work);
    }
    mutex_unlock(&ctx->lock);
    if (!queued) { /* the host has no thread for us: slow, and right */
        return fn(opaque);
    }
    co_yield();
    return j.result;
}

/* ---- Life ---- */

static BlockContext *context_new(Loop *loop)
{
    BlockContext *ctx = g_new0(BlockContext, 1);

    ctx->loop = ctx->io_loop = loop;
    ctx->max_threads = BLOCK_MAX_THREADS;
    list_init(&ctx->nodes);
    mutex_init(&ctx->lock, LOCK_BLOCK);
    cond_init(&ctx->work);
    list_init(&ctx->jobs);
    return ctx;
}

BlockContext *block_context_new_here(Loop *loop)
{
    return context_new(loop);
}

static void io_thread(void *opaque)
{
    loop_run(opaque);
}

BlockContext *block_context_new(QomTree *tree, Loop *loop)
{
    BlockContext *ctx = context_new(loop);

    ctx->tree = tree;
    ctx->has_thread = true;
    ctx->io_loop = loop_new("block", NULL);
    thread_start(&ctx->io_thread, "block", io_thread, ctx->io_loop, &error_abort);
    return ctx;
}

static void release_monitor_nodes(void *opaque)
{
    BlockContext *ctx = opaque;
    BlockNode *found;

    do {
        found = NULL;
        list_foreach (BlockNode, n, &ctx->nodes, link) {
            if (n->monitor_owned) {
                found = n;
                break;
            }
        }
        if (found) {
            found->monitor_owned = false;
            node_unref(found);
        }
    } while (found);
}

void block_context_free(BlockContext *ctx)
{
    if (!ctx) {
        return;
    }
    block_run(ctx, release_monitor_nodes, ctx);
    assert(list_is_empty(&ctx->nodes));
    mutex_lock(&ctx->lock);
    ctx->stop = true;
    cond_broadcast(&ctx->work);
    mutex_unlock(&ctx->lock);
    for (unsigned i = 0; i < ctx->num_threads; i++) {
        thread_join(&ctx->threads[i]);
    }
    if (ctx->has_thread) {
        loop_quit(ctx->io_loop);
        thread_join(&ctx->io_thread);
        loop_free(ctx->io_loop);
    }
    cond_finish(&ctx->work);
    mutex_finish(&ctx->lock);
    g_free(ctx);
}

/* ---- Entering ---- */

typedef struct {
    void (*fn)(void *opaque);
    void *opaque;
    Event done;
} Run;

static void run_body(void *opaque)
{
    Run *r = opaque;

    r->fn(r->opaque);
    event_set(&r->done); /* r is gone from here on */
}

static void run_start(void *opaque)
{
    co_enter(co_new(run_body, opaque));
}

void block_run(BlockContext *ctx, void (*fn)(void *opaque), void *opaque)
{
    Run r = {.fn = fn, .opaque = opaque};

    if (co_self() && loop_current() == ctx->io_loop) {
        fn(opaque);
        return;
    }
    loop_post(ctx->io_loop, run_start, &r);
    if (ctx->has_thread) {
        event_wait(&r.done);
        return;
    }
    while (!event_is_set(&r.done)) {
        loop_run_once(ctx->io_loop, true);
    }
}
