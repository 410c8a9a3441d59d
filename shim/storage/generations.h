/*
 * A directory whose files are exchanged all at once, as a kubelet keeps ConfigMaps, Secrets and
 * projected volumes: in it are links alone, which lead through the link "..data" to the directory of
 * one generation. An update makes another such directory, renames a new link over "..data", and
 * removes the old one.
 *
 * The guest believes a link for a second (virtio_fs_cache), by then to a directory that is gone. So
 * it gets a copy in which an old generation stays for some seconds.
 */
#ifndef SHIM_GENERATIONS_H
#define SHIM_GENERATIONS_H

#include <stdbool.h>

struct error;

/* Whether @dir (O_PATH will do) is such a directory. */
bool generations_are_in(int dir);

/* Brings the directory @to up to date with @from; at first it is empty. Whoever reads it finds one
 * generation whole. For a child process: it may block. */
int generations_copy(int from, int to, struct error *err);

#endif
