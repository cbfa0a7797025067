/* A network disk, preloaded into a process: below LATE_DISK_FOLDER

   - a path that was looked for and was not there is not there for LATE_DISK_SECONDS more, whoever makes it, but for this
     process itself (as the negative entries of an NFS client's cache); with LATE_DISK_OPENED set, to open its folder
     shows it at once (as an NFS client asks its server then);
   - flock and fsync are refused.

   Entries are kept for each process, and those of a parent for its forks. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 65536
static struct { char *path; double since; } missing[SLOTS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }
__attribute__((constructor)) static void begin(void) { pthread_atfork(before_fork, after_fork, after_fork); }

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* The absolute path, or NULL where it is none of this disk. */
static const char *ours(int folder, const char *path, char *place) {
    const char *disk = getenv("LATE_DISK_FOLDER");
    if (!disk || !path) return NULL;
    if (path[0] == '/') {
        if (snprintf(place, PATH_MAX, "%s", path) >= PATH_MAX) return NULL;
    } else {
        char start[PATH_MAX], link[64];
        if (folder == AT_FDCWD) {
            if (!getcwd(start, sizeof start)) return NULL;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, start, sizeof start - 1);
            if (length < 0) return NULL;
            start[length] = 0;
        }
        if (snprintf(place, PATH_MAX, "%s/%s", start, path) >= PATH_MAX) return NULL;
    }
    size_t length = strlen(disk);
    return strncmp(place, disk, length) == 0 && (place[length] == '/' || !place[length]) ? place : NULL;
}

static size_t slot_of(const char *path) {
    size_t hash = 5381;
    for (const char *at = path; *at; at++) hash = hash * 33 + (unsigned char)*at;
    size_t slot = hash % SLOTS;
    for (size_t n = 0; n < SLOTS && missing[slot].path && strcmp(missing[slot].path, path); n++) slot = (slot + 1) % SLOTS;
    return slot;
}

/* Whether a path that is there is not to be seen yet. */
static int is_late(const char *path) {
    const char *seconds = getenv("LATE_DISK_SECONDS");
    int saved = errno;
    pthread_mutex_lock(&mutex);
    size_t slot = slot_of(path);
    int late = missing[slot].path && now() - missing[slot].since < (seconds ? atof(seconds) : 0);
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return late;
}

static void note(const char *path, double since) {
    int saved = errno;
    pthread_mutex_lock(&mutex);
    size_t slot = slot_of(path);
    if (missing[slot].path || since > 0) {
        if (!missing[slot].path) missing[slot].path = strdup(path);
        /* a look at what is remembered as missing asks nobody, so that it does not begin anew */
        const char *seconds = getenv("LATE_DISK_SECONDS");
        double age = now() - missing[slot].since;
        if (since == 0 || age >= (seconds ? atof(seconds) : 0)) missing[slot].since = since;
    }
    pthread_mutex_unlock(&mutex);
    errno = saved;
}

/* Look anew for everything that was missing in a folder. */
static void forget_in(const char *folder) {
    size_t length = strlen(folder);
    pthread_mutex_lock(&mutex);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const char *path = missing[slot].path;
        if (path && !strncmp(path, folder, length) && path[length] == '/' && !strchr(path + length + 1, '/'))
            missing[slot].since = 0;
    }
    pthread_mutex_unlock(&mutex);
}

/* What a look for a path gives, after it gave `result`. */
#define LOOKED(folder, path, result)                                                                  \
    do {                                                                                              \
        char place[PATH_MAX];                                                                         \
        const char *own = ours(folder, path, place);                                                  \
        if (own && (result) < 0 && errno == ENOENT) note(own, now());                                 \
        else if (own && (result) >= 0 && is_late(own)) { (result) = -1; errno = ENOENT; }             \
    } while (0)

#define MADE(folder, path, result)                                                                    \
    do {                                                                                              \
        char place[PATH_MAX];                                                                         \
        const char *own = (result) >= 0 ? ours(folder, path, place) : NULL;                           \
        if (own) note(own, 0);                                                                        \
    } while (0)

#define STAT(name)                                                                                    \
    int name(const char *restrict path, struct stat64 *restrict found) {                              \
        REAL(name);                                                                                   \
        int result = real(path, found);                                                               \
        LOOKED(AT_FDCWD, path, result);                                                               \
        return result;                                                                                \
    }
STAT(stat64)
STAT(lstat64)

int fstatat64(int folder, const char *restrict path, struct stat64 *restrict found, int flags) {
    REAL(fstatat64);
    int result = real(folder, path, found, flags);
    if (*path) LOOKED(folder, path, result);
    return result;
}

int access(const char *path, int mode) {
    REAL(access);
    int result = real(path, mode);
    LOOKED(AT_FDCWD, path, result);
    return result;
}

static int opened(int folder, const char *path, int flags, int result) {
    if (flags & O_CREAT) {
        MADE(folder, path, result);
    } else {
        int descriptor = result;
        LOOKED(folder, path, result);
        if (descriptor >= 0 && result < 0) {
            close(descriptor);
            errno = ENOENT;
        }
    }
    return result;
}

#define MODE mode_t mode = 0; va_list rest; va_start(rest, flags); if (flags & (O_CREAT | O_TMPFILE)) mode = va_arg(rest, mode_t); va_end(rest)

int open64(const char *path, int flags, ...) {
    MODE;
    REAL(open64);
    return opened(AT_FDCWD, path, flags, real(path, flags, mode));
}

int open(const char *path, int flags, ...) {
    MODE;
    REAL(open);
    return opened(AT_FDCWD, path, flags, real(path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE;
    REAL(openat64);
    return opened(folder, path, flags, real(folder, path, flags, mode));
}

DIR *opendir(const char *path) {
    REAL(opendir);
    DIR *folder = real(path);
    int result = folder ? 0 : -1;
    LOOKED(AT_FDCWD, path, result);
    if (folder && result < 0) {
        closedir(folder);
        errno = ENOENT;
        return NULL;
    }
    char place[PATH_MAX];
    const char *own = folder && getenv("LATE_DISK_OPENED") ? ours(AT_FDCWD, path, place) : NULL;
    if (own) forget_in(own);
    return folder;
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    int result = real(path, mode);
    MADE(AT_FDCWD, path, result);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    int result = real(from, to);
    MADE(AT_FDCWD, to, result);
    return result;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(renameat);
    int result = real(from_folder, from, to_folder, to);
    MADE(to_folder, to, result);
    return result;
}

int symlink(const char *target, const char *path) {
    REAL(symlink);
    int result = real(target, path);
    MADE(AT_FDCWD, path, result);
    return result;
}

static int is_refused(int descriptor) {
    char link[64], name[PATH_MAX], place[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return ours(AT_FDCWD, name, place) != NULL;
}

int flock(int descriptor, int operation) {
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    if (!is_refused(descriptor)) return real(descriptor, operation);
    errno = ENOLCK;
    return -1;
}

int fsync(int descriptor) {
    REAL(fsync);
    if (!is_refused(descriptor)) return real(descriptor);
    errno = EINVAL;
    return -1;
}
