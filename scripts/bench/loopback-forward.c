/*
 * loopback-forward: the bare UDP forwarder that ut is measured against. One process, one thread, batches of 64, no copy
 * beyond the kernel's, nothing else.
 *
 * usage: loopback-forward TARGET_PORT     prints `ready PORT`; datagrams to 127.0.0.1:PORT go to 127.0.0.1:TARGET_PORT,
 *                                         answers to whoever sent last. Ends with its stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define MAX_BYTES 65507

static uint8_t buffers[BATCH][MAX_BYTES];

static int open_socket(void) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 8 << 20; /* as much as ut asks for */
  if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(sock, (struct sockaddr *)&any, sizeof any) < 0) perror("loopback-forward: bind"), exit(1);
  return sock;
}

/* One batch from a socket to an address; `source` is set to where the last datagram came from. */
static void forward(int from, int to, const struct sockaddr_in *target, struct sockaddr_in *source) {
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_in sources[BATCH];
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){buffers[i], MAX_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int count = recvmmsg(from, messages, BATCH, MSG_DONTWAIT, NULL);
  if (count <= 0) return;
  if (source) *source = sources[count - 1];
  for (int i = 0; i < count; i++) {
    parts[i].iov_len = messages[i].msg_len;
    messages[i].msg_hdr.msg_name = (void *)(uintptr_t)target;
  }
  for (int done = 0, taken; done < count; done += taken > 0 ? taken : 1) taken = sendmmsg(to, messages + done, (unsigned)(count - done), 0);
}

int main(int count, char **argument) {
  if (count != 2) return fprintf(stderr, "usage: loopback-forward TARGET_PORT\n"), 2;
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argument[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in peer = {0}, own;
  socklen_t length = sizeof own;
  int front = open_socket(), back = open_socket();
  getsockname(front, (struct sockaddr *)&own, &length);
  printf("ready %u\n", ntohs(own.sin_port));
  fflush(stdout);
  for (;;) {
    struct pollfd polled[3] = {{STDIN_FILENO, POLLIN, 0}, {front, POLLIN, 0}, {back, POLLIN, 0}};
    if (poll(polled, 3, -1) < 0) continue;
    if (polled[1].revents) forward(front, back, &target, &peer);
    if (polled[2].revents) forward(back, front, &peer, NULL);
    if (polled[0].revents && getchar() == EOF) return 0;
  }
}
