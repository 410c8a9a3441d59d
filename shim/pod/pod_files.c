#include "shim/pod/pod_files.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/spec/guest_paths.h"

#define FILE_MAX  (1 << 20) /* of a file of the host */
#define FILE_MODE 0644
#define SHM       "/dev/shm"
#define HOSTS     "127.0.0.1\tlocalhost\n::1\tlocalhost\n"

enum {
	HOSTNAME_FILE,
	HOSTS_FILE,
	RESOLV_CONF_FILE,
	FILES
};

static const struct {
	const char *name; /* in the directory, and in that of a CRI implementation */
	const char *path; /* in a container, and on the host */
} places[FILES] = {
	[HOSTNAME_FILE] = { "hostname", "/etc/hostname" },
	[HOSTS_FILE] = { "hosts", "/etc/hosts" },
	[RESOLV_CONF_FILE] = { "resolv.conf", "/etc/resolv.conf" },
};

struct pod_files {
	char *client_dir; /* where a CRI implementation has them: the end of its path */
	char *paths[FILES];
};

static char *hostname_text(const char *hostname)
{
	struct utsname uts = { 0 };

	uname(&uts);
	return mem_printf("%s\n", *hostname ? hostname : uts.nodename);
}

/* A host without the file is no reason for a pod without one. */
static char *host_text(size_t i, const char *otherwise)
{
	char *text = NULL;

	if (file_read(AT_FDCWD, places[i].path, FILE_MAX, &text, NULL) < 0)
		return mem_strdup(otherwise);
	return text;
}

static int write_one(struct pod_files *files, const char *dir, size_t i, const char *text,
                     struct error *err)
{
	files->paths[i] = mem_printf("%s/%s", dir, places[i].name);
	return file_write(AT_FDCWD, files->paths[i], FILE_MODE, text, strlen(text), err);
}

int pod_files_create(const struct pod_files_config *config, struct pod_files **out,
                     struct error *err)
{
	autodestroy(pod_files) struct pod_files *files = mem_new(struct pod_files);
	autofree char *hostname = hostname_text(config->hostname);
	autofree char *hosts = host_text(HOSTS_FILE, HOSTS);
	autofree char *resolv_conf = config->resolv_conf ? mem_strdup(config->resolv_conf)
	                                                 : host_text(RESOLV_CONF_FILE, "");

	files->client_dir = mem_printf("/sandboxes/%s/", config->id);
	if (write_one(files, config->dir, HOSTNAME_FILE, hostname, err) < 0 ||
	    write_one(files, config->dir, HOSTS_FILE, hosts, err) < 0 ||
	    write_one(files, config->dir, RESOLV_CONF_FILE, resolv_conf, err) < 0)
		return error_code_errno(err->code);
	*out = take_ptr(&files);
	return 0;
}

void pod_files_destroy(struct pod_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < FILES; i++)
		free(files->paths[i]);
	free(files->client_dir);
	free(files);
}

/* Replaces a string of a message, whose first value is the static empty one. */
static void set_text(char **text, const char *value)
{
	if (*text != protobuf_c_empty_string)
		free(*text);
	*text = mem_strdup(value);
}

static void add_option(Grpc__Mount *mount, const char *option)
{
	mount->options = mem_realloc(mount->options, (mount->n_options + 1) * sizeof(char *));
	mount->options[mount->n_options++] = mem_strdup(option);
}

static void drop_options(Grpc__Mount *mount)
{
	for (size_t i = 0; i < mount->n_options; i++)
		free(mount->options[i]);
	mount->n_options = 0;
}

static void make_bind(Grpc__Mount *mount, const char *source, bool read_only)
{
	set_text(&mount->type, "bind");
	set_text(&mount->source, source);
	drop_options(mount);
	add_option(mount, "rbind");
	add_option(mount, "rprivate");
	add_option(mount, read_only ? "ro" : "rw");
}

static Grpc__Mount *find(const Grpc__Spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i]->destination, destination) == 0)
			return spec->mounts[i];
	return NULL;
}

/* Last: it lies deeper than whatever may be mounted above it. */
static Grpc__Mount *add(Grpc__Spec *spec, const char *destination)
{
	Grpc__Mount *mount = mem_new(Grpc__Mount);

	grpc__mount__init(mount);
	mount->destination = mem_strdup(destination);
	spec->mounts = mem_realloc(spec->mounts, (spec->n_mounts + 1) * sizeof(void *));
	spec->mounts[spec->n_mounts++] = mount;
	return mount;
}

/* A client names there what it would have made. */
static bool is_missing(const struct pod_files *files, const Grpc__Mount *mount, const char *name)
{
	autofree char *end = mem_printf("%s%s", files->client_dir, name);
	size_t len = strlen(mount->source), tail = strlen(end);

	return len >= tail && strcmp(mount->source + len - tail, end) == 0;
}

void pod_files_bind(const struct pod_files *files, Grpc__Spec *spec)
{
	Grpc__Mount *mount;

	for (size_t i = 0; i < FILES; i++) {
		mount = find(spec, places[i].path);
		if (!mount)
			mount = add(spec, places[i].path);
		else if (!is_missing(files, mount, places[i].name))
			continue;
		make_bind(mount, files->paths[i], spec->root->readonly);
	}
	mount = find(spec, SHM);
	if (!mount)
		mount = add(spec, SHM);
	else if (strcmp(mount->type, "tmpfs") != 0 && !is_missing(files, mount, "shm"))
		return;
	make_bind(mount, GUEST_SHM, false);
}
