/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvloop: write a virtio device as a process.
 *
 * A device made with this library is a vhost-user back-end: it serves a virtual machine (QEMU and
 * other VMMs) and, through virtio-loopback, the local kernel. It is the same process both times.
 *
 *   vloop_dev_new()            a device: what it offers, and the functions it is made of
 *   vloop_dev_listen()         ... and where its front-end finds it
 *   vloop_run()                the default event loop; or poll vloop_dev_fd() in your own and
 *                              call vloop_dev_process()
 *
 *   for each queue, from its kick function (or its own thread):
 *     vloop_queue_pop()        take requests, as iovecs into the driver's memory
 *     vloop_queue_complete()   give one back
 *     vloop_queue_flush()      publish everything completed so far, signal once if wanted
 *
 * Words are those of the virtio specification (virtio 1.3): the driver makes requests, the device
 * serves them; "readable" and "writable" are seen from the device. The protocol is described in
 * QEMU's docs/interop/vhost-user.rst.
 *
 * Threads. The thread that calls vloop_dev_process() (or vloop_run()) is the control thread; all
 * vloop_dev_*() functions belong to it, unless their description says otherwise. A queue belongs to
 * one thread at a time, from its queue_start() callback until its queue_stop() callback returns
 * (or, with VLOOP_DISPATCH_THREAD, while queue_run() runs): only that thread may call vloop_queue_*()
 * with it, unless their description says otherwise. The library takes no locks in the data path.
 *
 * Memory. What iovecs point to is shared with the front-end, which may change it at any moment: load
 * every word you decide upon once, into a local, and check the local. The library does the same
 * with rings and descriptors. The memory stays mapped until every request taken from a queue has
 * been completed and the queue was stopped. A front-end that shrinks the file behind it makes
 * accesses fail with SIGBUS; front-ends that are not trusted should be made to seal it.
 *
 * Errors. Functions return 0 (or a count) or a negative errno. -EPROTO means that the front-end or
 * the driver broke the protocol: the connection is closed, and the device can take the next one.
 * The library never exits, aborts or prints; the vloop_program_*() functions do print.
 *
 * Structures given to the library begin with their size as the caller was compiled with it, so that
 * they can grow.
 */
#ifndef VLOOP_VLOOP_H
#define VLOOP_VLOOP_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vloop_dev;
struct vloop_queue;

/* Limits; see the members that they bound. */
#define VLOOP_QUEUES_MAX	256	/* SET_VRING_KICK carries the queue in 8 bits */
#define VLOOP_QUEUE_SIZE_MAX	32768	/* virtio 1.3, 2.7: largest queue size */
#define VLOOP_CONFIG_MAX	256	/* vhost-user.rst: largest GET_CONFIG */

/**
 * vloop_version() - the version of the library at run time, such as "0.1.0".
 */
const char *vloop_version(void);

/* ---- device --------------------------------------------------------------------------------- */

/**
 * enum vloop_dispatch - who serves the queues
 * @VLOOP_DISPATCH_LOOP: vloop_dev_process() calls queue_kick() when the driver made requests
 * @VLOOP_DISPATCH_THREAD: the library makes a thread for each running queue, which calls
 *	queue_run(); it is told to stop and joined before the queue stops
 * @VLOOP_DISPATCH_CALLER: the caller watches vloop_queue_kick_fd() from queue_start() to
 *	queue_stop(), in any thread it likes
 */
enum vloop_dispatch {
	VLOOP_DISPATCH_LOOP = 0,
	VLOOP_DISPATCH_THREAD = 1,
	VLOOP_DISPATCH_CALLER = 2,
};

/* vloop_dev_desc.flags */
#define VLOOP_DEV_NO_PACKED	(1U << 0)	/* do not offer packed rings */
#define VLOOP_DEV_NO_INDIRECT	(1U << 1)	/* do not offer indirect descriptors */
#define VLOOP_DEV_NO_EVENT_IDX	(1U << 2)	/* do not offer the event index */
#define VLOOP_DEV_ONCE		(1U << 3)	/* do not listen any more after the first connection */

/**
 * struct vloop_dev_desc - what a device offers
 * @size: sizeof(struct vloop_dev_desc)
 * @device_id: virtio device id (virtio 1.3, section 5), for messages only
 * @name: short name for messages, such as "rng"; copied
 * @features: feature bits of the device type (bits 0 to 23, and 50 to 63); the library adds
 *	VIRTIO_F_VERSION_1, the ring features and the vhost-user bit
 * @num_queues: queues of the device, 1 to VLOOP_QUEUES_MAX
 * @queue_size_max: largest accepted queue size, a power of two; 0 means 1024
 * @segments_max: largest number of iovecs in one request, 1 to 65535; 0 means 1024. A request
 *	with more is a protocol error, so it has to be what the device tells drivers (blk: seg_max + 2)
 * @dispatch: enum vloop_dispatch
 * @flags: VLOOP_DEV_*
 * @config: the device's configuration space as it is at the start, or NULL; copied
 * @config_len: its length in bytes, 0 to VLOOP_CONFIG_MAX
 */
struct vloop_dev_desc {
	size_t size;
	uint32_t device_id;
	const char *name;
	uint64_t features;
	uint32_t num_queues;
	uint32_t queue_size_max;
	uint32_t segments_max;
	uint32_t dispatch;
	uint32_t flags;
	uint32_t config_len;
	const void *config;
};

/**
 * struct vloop_dev_ops - the functions that a device is made of
 * @size: sizeof(struct vloop_dev_ops)
 * @connected: a front-end connected. An error refuses it.
 * @disconnected: it is gone: all queues have been stopped, its memory is not mapped any more
 * @negotiated: the driver's features are @features (bits that were not offered never arrive here).
 *	An error refuses them and closes the connection.
 * @config_write: the driver wrote @len bytes at @offset of the configuration space; the library's
 *	copy already has them. It may call vloop_dev_set_config(). An error takes the write back
 *	and is reported to the front-end. NULL: the configuration space is read-only.
 * @reset: the driver reset the device; all queues have been stopped
 * @queue_start: the queue may be used from now on. An error closes the connection.
 * @queue_stop: when this returns, nobody may use the queue any more, and every request that was
 *	taken from it must have been completed. It may wait for that.
 * @queue_kick: (VLOOP_DISPATCH_LOOP) the driver made requests, or may have: take them until
 *	vloop_queue_pop() returns 0. An error closes the connection; return what the library
 *	returned.
 * @queue_run: (VLOOP_DISPATCH_THREAD) the body of the queue's thread: serve requests until
 *	vloop_queue_wait() returns 0 or vloop_queue_stopping() is true, complete what is still in
 *	flight, and return 0; or return an error, which closes the connection
 *
 * All are called in the control thread, except queue_run. Those that the device does not need
 * are NULL, but not that which serves queues: queue_kick, queue_run, or for VLOOP_DISPATCH_CALLER both
 * queue_start and queue_stop. None of them may call vloop_dev_process(), vloop_run() or vloop_dev_unref().
 */
struct vloop_dev_ops {
	size_t size;
	int (*connected)(struct vloop_dev *dev);
	void (*disconnected)(struct vloop_dev *dev);
	int (*negotiated)(struct vloop_dev *dev, uint64_t features);
	int (*config_write)(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len);
	void (*reset)(struct vloop_dev *dev);
	int (*queue_start)(struct vloop_queue *queue);
	void (*queue_stop)(struct vloop_queue *queue);
	int (*queue_kick)(struct vloop_queue *queue);
	int (*queue_run)(struct vloop_queue *queue);
};

/**
 * vloop_dev_new() - make a device
 * @ret_dev: the device, with one reference
 * @desc: what it offers; read during this call only
 * @ops: its functions; copied
 * @user: returned by vloop_dev_user()
 *
 * Return: 0; -EINVAL (a member of @desc or @ops is out of range, or the function that its dispatch
 * needs is missing); -ENOMEM; -EMFILE and the like.
 */
int vloop_dev_new(struct vloop_dev **ret_dev, const struct vloop_dev_desc *desc,
		  const struct vloop_dev_ops *ops, void *user);

/**
 * vloop_dev_ref() - take a reference
 *
 * Return: @dev.
 */
struct vloop_dev *vloop_dev_ref(struct vloop_dev *dev);

/**
 * vloop_dev_unref() - drop a reference; the last one stops the queues (queue_stop() is called),
 * closes the connection, and removes the socket that vloop_dev_listen() made
 *
 * NULL is allowed. Return: NULL.
 */
struct vloop_dev *vloop_dev_unref(struct vloop_dev *dev);

/**
 * vloop_dev_user() - the pointer given to vloop_dev_new(). Any thread.
 */
void *vloop_dev_user(const struct vloop_dev *dev);

/**
 * typedef vloop_log_fn - gets the library's messages
 * @user: as given to vloop_dev_set_log()
 * @level: 3 error, 4 warning, 6 information, 7 debug (as in syslog)
 * @message: one line without a line end; valid during the call
 *
 * It is called from the control thread and from queue threads, so it has to be thread-safe.
 */
typedef void (*vloop_log_fn)(void *user, int level, const char *message);

/**
 * vloop_dev_set_log() - choose where messages of this device go; NULL (the default): nowhere
 * @level: the highest level wanted
 */
void vloop_dev_set_log(struct vloop_dev *dev, int level, vloop_log_fn fn, void *user);

/**
 * vloop_dev_listen() - listen on a Unix socket
 * @path: where; at most 107 bytes. A socket that is there already is replaced when nobody listens
 *	on it.
 *
 * One front-end is served at a time; the next one waits in the socket's backlog.
 *
 * Return: 0; -EADDRINUSE (somebody listens there); -EEXIST (it is not a socket);
 * -ENAMETOOLONG; -EALREADY (the device has a socket already); errors of socket(2) and bind(2).
 */
int vloop_dev_listen(struct vloop_dev *dev, const char *path);

/**
 * vloop_dev_take_fd() - serve an inherited socket, listening or connected
 * @fd: the socket; it belongs to the device when this succeeds
 *
 * Return: 0; -ENOTSOCK; -EPROTOTYPE (not a Unix stream socket); -EALREADY; what connected() returned.
 */
int vloop_dev_take_fd(struct vloop_dev *dev, int fd);

/**
 * vloop_dev_fd() - a descriptor that is readable when vloop_dev_process() has something to do
 *
 * Valid as long as the device; it must not be read, written or closed.
 */
int vloop_dev_fd(const struct vloop_dev *dev);

/**
 * vloop_dev_process() - do what is to be done now, without waiting for more
 *
 * Takes connections and messages, notices broken queues, calls the functions of the device. It
 * waits for a message of which only a part has arrived, and for a front-end that does not read its
 * answers, for a second each at most, and for the device's own queue_stop().
 *
 * Return: 0; -ENOTCONN when the front-end is gone and no other one can come (VLOOP_DEV_ONCE, or a
 * connected socket given to vloop_dev_take_fd()); -EBUSY when queue_stop() left requests that were
 * not completed: the device cannot go on; what a vloop_watch_fn returned; -EINVAL and the like when
 * the listening socket was shut down or closed by somebody else. Want of descriptors or memory for
 * a front-end is logged, and it is tried again every second.
 */
int vloop_dev_process(struct vloop_dev *dev);

/**
 * vloop_dev_connected() - whether there is a front-end now
 */
bool vloop_dev_connected(const struct vloop_dev *dev);

/**
 * vloop_dev_disconnect() - send the front-end away, if there is one. Also from queue_kick() and
 * other functions of the device; takes effect in the next vloop_dev_process(). Any thread.
 */
void vloop_dev_disconnect(struct vloop_dev *dev);

/**
 * vloop_run() - the default event loop: vloop_dev_process() until it fails or vloop_stop() is called
 *
 * Ignore or block SIGPIPE before (vloop_program_run() does): the front-end chooses the files that
 * calls are written to, and a pipe without a reader may be among them.
 *
 * Return: 0 after vloop_stop(), or the error of vloop_dev_process() (-ENOTCONN is a normal end).
 */
int vloop_run(struct vloop_dev *dev);

/**
 * vloop_stop() - make vloop_run() return. Any thread, also a signal handler.
 */
void vloop_stop(struct vloop_dev *dev);

/**
 * typedef vloop_watch_fn - a watched descriptor is ready
 * @fd: the descriptor
 * @events: EPOLLIN and so on
 *
 * Called from vloop_dev_process(). Return: 0, or a negative errno which vloop_dev_process() returns.
 */
typedef int (*vloop_watch_fn)(struct vloop_dev *dev, int fd, uint32_t events, void *user);

/**
 * vloop_dev_watch() - let vloop_dev_process() watch a descriptor of the device (a timer, a terminal,
 * a signalfd)
 * @fd: stays the caller's; unwatch it before closing it
 * @events: EPOLLIN, EPOLLOUT; level-triggered
 *
 * Return: 0; -EEXIST (it is watched already); -EPERM (it cannot be polled); -ENOMEM.
 */
int vloop_dev_watch(struct vloop_dev *dev, int fd, uint32_t events, vloop_watch_fn fn, void *user);

/**
 * vloop_dev_unwatch() - stop watching
 *
 * Return: 0; -ENOENT.
 */
int vloop_dev_unwatch(struct vloop_dev *dev, int fd);

/**
 * vloop_dev_set_config() - change the configuration space
 * @offset: first byte
 * @data: new content
 * @len: bytes; @offset + @len is at most the desc.config_len
 *
 * The driver is told by vloop_dev_config_changed(), once, after all changes.
 *
 * Return: 0; -ERANGE.
 */
int vloop_dev_set_config(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len);

/**
 * vloop_dev_config_changed() - tell the driver that the configuration space changed (a disk was
 * resized)
 *
 * Without a front-end there is nobody to tell, and the next one reads the new content anyway.
 *
 * Return: 0; -EOPNOTSUPP when the front-end did not negotiate it.
 */
int vloop_dev_config_changed(struct vloop_dev *dev);

/**
 * vloop_dev_features() - feature bits that the driver accepted, ring features included. Any thread,
 * while a queue runs.
 */
uint64_t vloop_dev_features(const struct vloop_dev *dev);

/**
 * vloop_dev_queue() - one of the queues
 * @index: 0 to desc.num_queues - 1
 *
 * Return: the queue, valid as long as the device; NULL when out of range.
 */
struct vloop_queue *vloop_dev_queue(struct vloop_dev *dev, unsigned int index);

/* ---- queue ---------------------------------------------------------------------------------- */

/**
 * struct vloop_req - one request, from vloop_queue_pop() until vloop_queue_complete()
 * @readable: what the driver sends to the device; @n_readable pieces. The iovecs (not the bytes
 *	they point to) may be changed by the device.
 * @writable: what the device fills for the driver; @n_writable pieces. Right behind the readable
 *	ones in memory.
 * @n_readable: number of pieces, may be 0
 * @n_writable: number of pieces, may be 0
 * @readable_len: bytes in all
 * @writable_len: bytes in all
 * @user: the device's own
 *
 * Other members are the library's.
 */
struct vloop_req {
	struct iovec *readable;
	struct iovec *writable;
	uint32_t n_readable;
	uint32_t n_writable;
	uint64_t readable_len;
	uint64_t writable_len;
	void *user;
	uint16_t id_;
	uint16_t num_desc_;
	uint32_t in_flight_;
};

/**
 * vloop_queue_pop() - take requests
 * @ret_reqs: room for @max pointers; each is valid until it is completed
 * @max: at least 1
 *
 * Returning 0 means also that the driver was asked to kick for its next request. So a device takes
 * requests until this returns 0, or until it has no room and comes back by itself later.
 *
 * Requests may be completed in any order. They must be completed, with what error the device type
 * has for it when they cannot be served.
 *
 * Requests in flight and requests completed but not flushed yet are together never more than
 * vloop_queue_size(): a driver that offers more did not wait until it had them back. So a loop that
 * takes and completes until this returns 0, and flushes then, comes to an end with any driver.
 *
 * Return: the number of requests, 0 to @max; -EPROTO (a bad ring or descriptor, or more requests than
 * the ring has entries: nothing can be taken any more, complete what was taken and return the error
 * from the queue's function); -ESHUTDOWN (the queue does not run).
 */
int vloop_queue_pop(struct vloop_queue *queue, struct vloop_req **ret_reqs, unsigned int max);

/**
 * vloop_queue_complete() - give a request back; the driver sees it after the next flush
 * @req: not valid any more afterwards
 * @written: bytes written at the beginning of the writable pieces; more than there are count as all
 */
void vloop_queue_complete(struct vloop_queue *queue, struct vloop_req *req, uint32_t written);

/**
 * vloop_queue_flush() - publish completed requests and signal the driver, once, if it wants that
 *
 * Costs nothing when nothing was completed.
 */
void vloop_queue_flush(struct vloop_queue *queue);

/**
 * vloop_queue_wait() - (VLOOP_DISPATCH_THREAD) sleep until the driver kicks
 *
 * One epoll_wait(2); the kick descriptor is not read.
 *
 * Return: 1 (look at the ring); 0 (the queue is to stop); negative errno.
 */
int vloop_queue_wait(struct vloop_queue *queue);

/**
 * vloop_queue_kick_fd() - readable when the driver kicked; for poll, epoll or io_uring
 *
 * Valid while the queue runs. vloop_queue_ack_kick() makes it quiet again.
 */
int vloop_queue_kick_fd(const struct vloop_queue *queue);

/**
 * vloop_queue_ack_kick() - take note of a kick, without waiting; before vloop_queue_pop()
 */
void vloop_queue_ack_kick(struct vloop_queue *queue);

/**
 * vloop_queue_stop_fd() - (VLOOP_DISPATCH_THREAD) readable when the queue is to stop; for loops
 * that wait for other things too. Not to be read.
 */
int vloop_queue_stop_fd(const struct vloop_queue *queue);

/**
 * vloop_queue_stopping() - whether the queue is to stop. Any thread.
 */
bool vloop_queue_stopping(const struct vloop_queue *queue);

/**
 * vloop_queue_in_flight() - requests taken and not completed yet
 */
unsigned int vloop_queue_in_flight(const struct vloop_queue *queue);

/**
 * vloop_queue_index() - its number in the device, from 0. Any thread.
 */
unsigned int vloop_queue_index(const struct vloop_queue *queue);

/**
 * vloop_queue_size() - entries of its ring, while it runs: no more requests than that can be in
 * flight
 */
unsigned int vloop_queue_size(const struct vloop_queue *queue);

/**
 * vloop_queue_dev() - the device it belongs to. Any thread.
 */
struct vloop_dev *vloop_queue_dev(const struct vloop_queue *queue);

/**
 * vloop_queue_set_user() - keep a pointer of the device with the queue
 */
void vloop_queue_set_user(struct vloop_queue *queue, void *user);

/**
 * vloop_queue_user() - the pointer given to vloop_queue_set_user(), NULL at first
 */
void *vloop_queue_user(const struct vloop_queue *queue);

/**
 * vloop_req_read() - copy bytes out of the readable pieces
 * @offset: where to begin, in bytes
 * @buf: where they go
 * @len: how many are wanted
 *
 * Return: bytes copied, less than @len when the request is shorter.
 */
size_t vloop_req_read(const struct vloop_req *req, size_t offset, void *buf, size_t len);

/**
 * vloop_req_write() - copy bytes into the writable pieces
 * @offset: where to begin, in bytes
 * @buf: what to copy
 * @len: how many
 *
 * Return: bytes copied, less than @len when the request is shorter.
 */
size_t vloop_req_write(struct vloop_req *req, size_t offset, const void *buf, size_t len);

/* ---- program -------------------------------------------------------------------------------- */

/**
 * struct vloop_program - what all device programs have in common
 * @size: sizeof(struct vloop_program)
 * @name: the program, such as "vloop-rng"
 * @summary: one line for --help
 * @type: vhost-user device type for --print-capabilities, as in QEMU's docs/interop/vhost-user.json
 *	("block", "rng", "input" ...)
 * @capabilities: features for --print-capabilities, ended by NULL; or NULL
 * @version: for --version; NULL: the library's
 * @options: the program's own options, ended by a zero entry; or NULL. Their val must be from 256
 *	to 1023 or a letter other than "h" and "V", and their flag NULL.
 * @help: lines for --help about them; or NULL
 * @option: called for each of them with its val and argument. It prints what is wrong itself and
 *	returns a negative errno.
 *
 * Options of all programs:
 *	--socket-path=PATH	listen there
 *	--fd=N			serve this inherited socket, listening or connected
 *	--once			end when the front-end disconnects
 *	--print-capabilities	print a JSON object and end
 *	--verbose		print more
 *	-h, --help; -V, --version
 */
struct vloop_program {
	size_t size;
	const char *name;
	const char *summary;
	const char *type;
	const char *const *capabilities;
	const char *version;
	const struct option *options;
	const char *help;
	int (*option)(void *user, int val, const char *arg);
};

/**
 * struct vloop_args - the result of vloop_program_parse()
 * @size: set by the caller to sizeof(struct vloop_args)
 * @socket_path: points into argv, or NULL
 * @fd: the inherited socket, or -1
 * @once: end when the front-end disconnects
 * @verbose: print more
 */
struct vloop_args {
	size_t size;
	const char *socket_path;
	int fd;
	bool once;
	bool verbose;
};

/**
 * vloop_program_parse() - read the command line
 * @user: handed to program->option
 *
 * Return: 0 (go on); 1 (what was asked for has been printed: exit with success);
 * -EINVAL and others (exit with failure; what is wrong with the command line has been said on stderr).
 */
int vloop_program_parse(const struct vloop_program *program, int argc, char **argv,
			struct vloop_args *ret_args, void *user);

/**
 * vloop_program_run() - serve front-ends until SIGTERM, SIGINT or SIGHUP
 * @args: from vloop_program_parse()
 * @dev: the device
 *
 * Blocks these signals in the calling thread and takes them by descriptor, sets a log function
 * that writes to stderr, listens, runs. SIGHUP is left alone when it is ignored (nohup(1)), or
 * blocked already because the program has a use of its own for it. With --once, and with a connected
 * --fd, it returns when the front-end goes. Call it before making threads, or block those signals
 * in them. SIGPIPE is ignored meanwhile.
 *
 * Return: 0 after a signal or the end that --once asks for; a negative errno after saying on stderr
 * what went wrong.
 */
int vloop_program_run(const struct vloop_program *program, const struct vloop_args *args,
		      struct vloop_dev *dev);

/**
 * vloop_program_error() - print "NAME: message" on stderr; after vloop_program_parse() was called
 */
void vloop_program_error(const struct vloop_program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * vloop_parse_size() - read a size such as "512", "64K", "1M", "2G" or "1T" (powers of 1024)
 *
 * Return: 0; -EINVAL (not a number, or something follows it); -ERANGE.
 */
int vloop_parse_size(const char *text, uint64_t *ret_size);

#ifdef __cplusplus
}
#endif

#endif
