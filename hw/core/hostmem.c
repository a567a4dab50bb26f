/* Memory of the host that a user makes for the guest. It is mapped when the machine is made; a file is opened at once. */
#include "hw/core/hostmem.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/core/hostmem.gen.h"

typedef struct {
    Object obj;
    union {
        MemoryBackendConf base;
        MemoryBackendFileConf file;
        MemoryBackendMemfdConf memfd;
    } conf;
    int fd; /* of the file; -1 */
} HostMem;

static bool hostmem_init(Object *o, Error **errp)
{
    ((HostMem *)o)->fd = -1;
    return true;
}

static void hostmem_unrealize(Object *o)
{
    HostMem *h = (HostMem *)o;

    if (h->fd >= 0) {
        close(h->fd);
        h->fd = -1;
    }
}

/* A folder: a file in it whose name is gone at once. */
static int open_file(const char *path, bool readonly, Error **errp)
{
    g_autofree char *temp = NULL;
    struct stat st;
    int fd;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        temp = g_strdup_printf("%s/guest-ram.XXXXXX", path);
        fd = mkostemp(temp, O_CLOEXEC);
        if (fd >= 0) {
            unlink(temp);
        }
    } else {
        fd = open(path, (readonly ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0644);
    }
    if (fd < 0) {
        error_set_errno(errp, errno, "can't open backing store %s for guest RAM", path);
    }
    return fd;
}

static bool file_realize(Object *o, Error **errp)
{
    HostMem *h = (HostMem *)o;
    const MemoryBackendFileConf *conf = &h->conf.file;
    struct stat st;

    h->fd = open_file(conf->mem_path, conf->readonly, errp);
    if (h->fd < 0) {
        return false;
    }
    if (fstat(h->fd, &st) < 0 || (S_ISREG(st.st_mode) && (uint64_t)st.st_size < conf->size &&
                                  (conf->readonly || ftruncate(h->fd, (off_t)conf->size) < 0))) {
        error_set(errp, "backing store %s size 0x%llx does not match 'size' option 0x%llx", conf->mem_path, (unsigned long long)st.st_size,
                  (unsigned long long)conf->size);
        hostmem_unrealize(o);
        return false;
    }
    return true;
}

bool hostmem_spec(Object *o, HostRamSpec *spec, Error **errp)
{
    HostMem *h = (HostMem *)o;
    const MemoryBackendConf *conf = &h->conf.base;
    bool file = object_is_a(o, "memory-backend-file"), memfd = object_is_a(o, "memory-backend-memfd");

    if (file && h->conf.file.readonly) {
        return error_set(errp, "memory backend '%s' cannot be the RAM of a machine: it is read-only", o->name);
    }
    *spec = (HostRamSpec){
        .size = conf->size, .mergeable = conf->merge, .no_dump = !conf->dump, .noreserve = !conf->reserve, .prealloc = conf->prealloc,
        .fd = -1, .name = o->name, .thp = !memfd || !h->conf.memfd.hugetlb, .shared = conf->share,
    };
    if (file) {
        spec->fd = h->fd;
        spec->has_fd = true;
        spec->align = h->conf.file.align;
        spec->thp = false;
    } else {
        spec->memfd = memfd || conf->share;
    }
    if (memfd) {
        spec->hugetlb = h->conf.memfd.hugetlb ? h->conf.memfd.hugetlbsize ? h->conf.memfd.hugetlbsize : 2 << 20 : 0;
        spec->seals = h->conf.memfd.seal ? F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL : 0;
    }
    return true;
}

uint64_t hostmem_size(Object *o)
{
    return ((HostMem *)o)->conf.base.size;
}

const ObjectOps memory_backend_ops = {
    .size = sizeof(HostMem),
    .conf_offset = offsetof(HostMem, conf),
    .init = hostmem_init,
    .unrealize = hostmem_unrealize,
};

const ObjectOps memory_backend_file_ops = {
    .size = sizeof(HostMem),
    .conf_offset = offsetof(HostMem, conf),
    .realize = file_realize,
};

const ObjectOps memory_backend_memfd_ops = {
    .size = sizeof(HostMem),
    .conf_offset = offsetof(HostMem, conf),
};
