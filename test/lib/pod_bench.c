#include "test/lib/pod_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/config/config_load.h"
#include "shim/config/install.h"
#include "test/unit/shim/fake_guest.h"

#define BACKLOG 64
#define CONFIG                                                                                     \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}"

static void must(bool good)
{
	if (!good)
		abort();
}

void pod_bench_init(struct pod_bench *bench)
{
	const struct config_source nothing = { .body = "" };

	*bench = (struct pod_bench){ 0 };
	must(install_find(NULL, &bench->install, NULL) == 0);
	must(config_load(&nothing, bench->install, &bench->settings, NULL) == 0);
	bench->settings->agent_search_after_ms = 20; /* where there is no announcement */
}

void pod_bench_fini(struct pod_bench *bench)
{
	service_destroy(bench->service);
	config_destroy(bench->settings);
	install_destroy(bench->install);
}

void pod_bench_write_config(const char *text)
{
	autofree char *path = mem_printf("%s/config.json", fake.dir);

	text = text ? text : CONFIG;
	must(file_write(AT_FDCWD, path, 0600, text, strlen(text), NULL) == 0);
}

static struct sockaddr_un address(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/service", fake.dir);
	return address;
}

static int listen_there(void)
{
	const struct sockaddr_un at = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
	must(listen(fd, BACKLOG) == 0);
	return fd;
}

int pod_bench_serve(struct pod_bench *bench, struct ev_loop *loop, void (*on_ending)(void *ctx),
                    service_end_fn *on_end, void *ctx, struct error *err)
{
	struct loopback *loopback = take_ptr(&bench->loopback);
	const struct service_config config = {
		.ns = "n",
		.id = "c",
		.bundle = fake.dir,
		.pod_dir = fake.dir,
		.share_dir = fake.dir,
		.view_dir = fake.dir,
		.install = bench->install,
		.config = bench->settings,
		.listen_fd = listen_there(),
		.on_ending = on_ending,
		.loopback = loopback,
	};

	return service_start(loop, &config, on_end, ctx, &bench->service, err);
}

int pod_bench_connect(int flags)
{
	const struct sockaddr_un at = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}
