#include "shim/host/address.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

static struct error err;
static char dir[] = "/tmp/kata-address.XXXXXX";

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

/* printf %s /run/containerd/containerd.sock/default/x | sha256sum */
#define PATH_HASH "5e250b13f984a15f73216d143af1bf3c64171aa56c781ba9d4040c75b2c1eee2"

Test(address, is_the_hash_of_containerd_namespace_and_id)
{
	struct address address;

	cr_assert_eq(address_of(ADDRESS_DIR, "/run/containerd/containerd.sock", "default", "x",
	                        &address, &err),
	             0);
	cr_assert_str_eq(address.path, "/run/containerd/s/" PATH_HASH);
	cr_assert_eq(strlen(address.pod), POD_NAME_LEN);
	cr_assert_arr_eq(address.pod, PATH_HASH, POD_NAME_LEN);
}

Test(address, differs_by_each_of_its_three_parts)
{
	static const char *const parts[][3] = {
		{ "/a", "n", "i" }, { "/b", "n", "i" }, { "/a", "m", "i" }, { "/a", "n", "j" }
	};
	struct address addresses[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(address_of("/s", parts[i][0], parts[i][1], parts[i][2], &addresses[i],
		                        &err),
		             0);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			cr_assert_str_neq(addresses[i].pod, addresses[j].pod);
}

Test(address, comes_back_from_its_uri)
{
	struct address made, read;
	char uri[200];

	cr_assert_eq(address_of("/some/where", "/a", "n", "i", &made, &err), 0);
	snprintf(uri, sizeof(uri), "unix://%s", made.path);
	cr_assert_eq(address_parse(uri, &read, &err), 0);
	cr_assert_str_eq(read.path, made.path);
	cr_assert_str_eq(read.pod, made.pod);
}

Test(address, refuses_what_no_start_has_written)
{
	struct address made, read;
	char uri[300];
	static const char *const bad[] = {
		"",
		"unix://",
		"unix:///",
		"/run/x",
		"unix:///run/../etc/passwd",
		"unix://relative/x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_lt(address_parse(bad[i], &read, &err), 0, "%s", bad[i]);
	cr_assert_eq(address_of("/s", "/a", "n", "i", &made, &err), 0);
	snprintf(uri, sizeof(uri), "unix://%sa", made.path);
	cr_assert_lt(address_parse(uri, &read, &err), 0);
	snprintf(uri, sizeof(uri), "unix://%.66sG", made.path);
	cr_assert_lt(address_parse(uri, &read, &err), 0);
}

Test(address, refuses_a_directory_that_is_too_long)
{
	char longest[44], longer[45];
	struct address address;

	memset(longest, '/', sizeof(longest));
	longest[42] = '\0'; /* 42 + 1 + 64 = 107 */
	cr_assert_eq(address_of(longest, "/a", "n", "i", &address, &err), 0);
	memset(longer, '/', sizeof(longer));
	longer[43] = '\0';
	cr_assert_eq(address_of(longer, "/a", "n", "i", &address, &err), -EINVAL);
	cr_assert(strstr(err.text, "too long"));
}

Test(address, is_listened_on_by_one_only, .init = make_dir, .fini = remove_dir)
{
	struct address address;
	struct stat st;
	int fd, peer;

	cr_assert_eq(address_of(dir, "/a", "n", "i", &address, &err), 0);
	cr_assert_not(address_is_served(&address));
	fd = address_listen(&address, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(stat(address.path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert(address_is_served(&address));
	cr_assert_eq(address_listen(&address, &err), -EEXIST);
	peer = address_connect(&address);
	cr_assert_geq(peer, 0);
	close(peer);
	close(fd);
}

Test(address, replaces_a_socket_that_nobody_listens_on, .init = make_dir, .fini = remove_dir)
{
	struct address address;
	int fd;

	cr_assert_eq(address_of(dir, "/a", "n", "i", &address, &err), 0);
	close(address_listen(&address, &err));
	cr_assert_eq(access(address.path, F_OK), 0);
	cr_assert_eq(address_connect(&address), -ECONNREFUSED);
	fd = address_listen(&address, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert(address_is_served(&address));
	close(fd);
}

Test(address, makes_its_directory, .init = make_dir, .fini = remove_dir)
{
	struct address address;
	char below[100];
	int fd;

	snprintf(below, sizeof(below), "%s/a/b", dir);
	cr_assert_eq(address_of(below, "/a", "n", "i", &address, &err), 0);
	fd = address_listen(&address, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	close(fd);
}

Test(address, counts_a_listener_whose_queue_is_full_as_one, .init = make_dir, .fini = remove_dir)
{
	struct address address;
	int fd, clients = 0;

	cr_assert_eq(address_of(dir, "/a", "n", "i", &address, &err), 0);
	fd = address_listen(&address, &err);
	cr_assert_eq(listen(fd, 1), 0);
	while (address_connect(&address) >= 0)
		cr_assert_lt(clients++, 100);
	cr_assert_eq(address_connect(&address), -EAGAIN);
	cr_assert(address_is_served(&address));
	close(fd);
}

static void *sleep_long(void *arg)
{
	pause();
	return arg;
}

/* A process whose first thread has ended shows the same flags as one that is closing its files. */
static void end_but_serve(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_long, NULL) == 0)
		pthread_exit(NULL);
	_exit(1);
}

static pid_t serve(int listen_fd, bool ends)
{
	int ready[2];
	pid_t pid;
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (address_serve(listen_fd, NULL) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		if (ends)
			end_but_serve();
		pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(address, of_a_process_that_ends_is_not_that_of_one_that_lives, .init = make_dir,
     .fini = remove_dir)
{
	struct address address;
	pid_t living, ending;
	int fd;

	cr_assert_eq(address_of(dir, "/a", "n", "i", &address, &err), 0);
	cr_assert_not(address_is_ending(&address));
	fd = address_listen(&address, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_not(address_is_ending(&address));
	living = serve(fd, false);
	cr_assert_not(address_is_ending(&address));
	ending = serve(fd, true);
	while (!address_is_ending(&address))
		usleep(1000);
	cr_assert(address_is_served(&address));
	end(living);
	end(ending);
	close(fd);
}
