/* Stand between a process and its disk: fail, hang or record what it writes to files whose path holds a word.

   HELDOUT_FAULT names a file. While it is there, its one line says what to do: a kind, a blank, and a word of the path:

       eio-write W       write to such a file fails with EIO; likewise enospc-write W and erofs-write W
       eio-fsync-once W  the next fsync of such a file fails with EIO    hang-fsync W      fsync of such a file never ends
       hang-open W       open of such a file never ends

   HELDOUT_RECORD names a file to which every write, truncation, fsync and unlink is appended as it happens, each as
   kind (1 byte: w t s u), length of the path (uint32), path, offset (uint64), length of the data (uint64), data. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int record_fd = -1;

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);
static int (*real_ftruncate)(int, off64_t);
static int (*real_open)(const char *, int, ...);

__attribute__((constructor)) static void begin(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_open = dlsym(RTLD_NEXT, "open64");
  const char *record = getenv("HELDOUT_RECORD");
  if (record) record_fd = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = 0;
  return path[0] == '/' ? path : NULL;
}

/* Say whether the fault of this kind is on for this file. */
static int is_on(const char *kind, const char *path) {
  const char *name = getenv("HELDOUT_FAULT");
  char line[256] = {0}, said[64], word[128];
  int fd = name && path ? real_open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  ssize_t size = read(fd, line, sizeof line - 1);
  close(fd);
  return size > 0 && sscanf(line, "%63s %127s", said, word) == 2 && !strcmp(said, kind) && strstr(path, word);
}

static void record(char kind, const char *path, uint64_t offset, const void *data, uint64_t size) {
  if (record_fd < 0 || !path) return;
  uint32_t length = strlen(path);
  real_write(record_fd, &kind, 1);
  real_write(record_fd, &length, sizeof length);
  real_write(record_fd, path, length);
  real_write(record_fd, &offset, sizeof offset);
  real_write(record_fd, &size, sizeof size);
  if (data) real_write(record_fd, data, size);
}

static int fails(const char *path) {
  if (is_on("eio-write", path)) return EIO;
  if (is_on("enospc-write", path)) return ENOSPC;
  if (is_on("erofs-write", path)) return EROFS;
  return 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  char buffer[PATH_MAX];
  const char *path = path_of(fd, buffer);
  int error = fails(path);
  if (error) return errno = error, -1;
  pthread_mutex_lock(&lock);
  ssize_t done = real_pwrite(fd, data, size, offset);
  if (done > 0) record('w', path, offset, data, done);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
  char buffer[PATH_MAX];
  if (record_fd < 0 && !getenv("HELDOUT_FAULT")) return real_write(fd, data, size);
  const char *path = path_of(fd, buffer);
  int error = fails(path);
  if (error) return errno = error, -1;
  pthread_mutex_lock(&lock);
  off64_t offset = lseek64(fd, 0, SEEK_CUR);
  ssize_t done = real_write(fd, data, size);
  if (done > 0 && offset >= 0) record('w', path, offset, data, done);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate64(int fd, off64_t size) {
  char buffer[PATH_MAX];
  const char *path = path_of(fd, buffer);
  pthread_mutex_lock(&lock);
  int done = real_ftruncate(fd, size);
  if (!done) record('t', path, size, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) {
  char buffer[PATH_MAX];
  const char *path = path_of(fd, buffer);
  while (is_on("hang-fsync", path)) pause();
  if (is_on("eio-fsync-once", path)) {
    unlink(getenv("HELDOUT_FAULT"));
    return errno = EIO, -1;
  }
  int done = real_fsync(fd);
  pthread_mutex_lock(&lock);
  if (!done) record('s', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *name) {
  char path[PATH_MAX];
  int known = realpath(name, path) != NULL;
  pthread_mutex_lock(&lock);
  int done = real_unlink(name);
  if (!done && known) record('u', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int open64(const char *name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  while (is_on("hang-open", name)) pause();
  return real_open(name, flags, mode);
}

int fdatasync(int fd) { return fsync(fd); }
