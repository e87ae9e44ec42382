/*
 * pulse: evenly paced UDP datagrams, and the arrival time of each of them.
 *
 * usage: pulse bind ADDRESS PORT      waits for a peer and answers whoever sent last
 *        pulse connect ADDRESS PORT   talks to that address
 *
 * Both ends can send and both receive; the one that binds can send once a greeting has reached it, as the far end of a
 * tunnel does. Times are CLOCK_MONOTONIC in ns, one clock for all namespaces of a machine.
 *
 * stdin, one line each, answered by one line of stdout that starts with the command's name or "error":
 *   greet TIMEOUT_MS                 until the peer has answered        -> greet RTT_NS
 *   send RATE SECONDS BYTES          SECONDS 0: until `stop`            -> send RUN, later: sent RUN COUNT REFUSED LATE_NS
 *   stop                             ends a send early                  -> stop
 *   wait COUNT QUIET_MS MAX_MS       until COUNT datagrams have arrived since the last `take`, or none has for
 *                                    QUIET_MS, or MAX_MS have passed    -> wait COUNT
 *   now                              the clock all times here are of   -> now NS
 *   take FILE                        writes what arrived and forgets it -> take COUNT
 *                                    records of { u32 run, u32 seq, u64 sent, u64 received } in host order
 * LATE_NS is the worst delay of a send behind its schedule: large means this machine was too busy to measure.
 * REFUSED counts datagrams the kernel did not take. Ends with its stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NANOS 1000000000ull
#define MAGIC 0x55745075u
#define BATCH 64
#define MAX_BYTES 65507

enum { DATA = 1, GREETING = 2, ANSWER = 3 };
typedef struct { uint32_t magic, kind, run, seq; uint64_t sent; } header;
typedef struct { uint32_t run, seq; uint64_t sent, received; } record;

static int sock;
static bool bound;
static struct sockaddr_in peer;
static record *records;
static size_t record_count, record_room;
static uint64_t last_arrival;

static struct { bool on; uint32_t run, seq; uint64_t start, end, refused, late; double interval; size_t bytes; } sending;
static struct { bool on; uint64_t until, next; } greeting;
static struct { bool on; size_t count; uint64_t quiet, until; } waiting;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NANOS + (uint64_t)t.tv_nsec;
}

static bool transmit(uint32_t kind, uint32_t run, uint32_t seq, uint64_t sent, size_t bytes) {
  static uint8_t buffer[MAX_BYTES];
  header h = {MAGIC, kind, run, seq, sent};
  memcpy(buffer, &h, sizeof h);
  for (int attempt = 0; attempt < 2; attempt++) /* an ICMP error of an earlier datagram is reported by the next send */
    if (sendto(sock, buffer, bytes, 0, (struct sockaddr *)&peer, sizeof peer) == (ssize_t)bytes) return true;
  return false;
}

static void keep(const header *h, uint64_t now) {
  if (record_count == record_room) {
    record_room = record_room ? record_room * 2 : 65536;
    records = realloc(records, record_room * sizeof *records);
    if (!records) exit(1);
  }
  records[record_count++] = (record){h->run, h->seq, h->sent, now};
  last_arrival = now;
}

static void receive(void) {
  static header heads[BATCH];
  static struct sockaddr_in from[BATCH];
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  for (int i = 0; i < BATCH; i++) { /* the rest of each datagram is cut off: only its head matters */
    parts[i] = (struct iovec){&heads[i], sizeof(header)};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int count = recvmmsg(sock, messages, BATCH, MSG_DONTWAIT, NULL);
  uint64_t now = now_ns();
  for (int i = 0; i < count; i++) {
    const header *h = &heads[i];
    if (messages[i].msg_len < sizeof *h || h->magic != MAGIC) continue;
    if (bound) peer = from[i];
    if (h->kind == GREETING) transmit(ANSWER, 0, 0, h->sent, sizeof *h);
    else if (h->kind == DATA) keep(h, now);
    else if (h->kind == ANSWER && greeting.on) {
      greeting.on = false;
      printf("greet %llu\n", (unsigned long long)(now - h->sent));
    }
  }
}

/* What is due goes out; returns when to look again. */
static uint64_t run_timers(uint64_t now) {
  uint64_t next = UINT64_MAX;
  if (greeting.on && now >= greeting.until) greeting.on = false, printf("error no answer to the greeting\n");
  if (greeting.on && now >= greeting.next) transmit(GREETING, 0, 0, now, sizeof(header)), greeting.next = now + NANOS / 10;
  if (greeting.on) next = greeting.next < greeting.until ? greeting.next : greeting.until;
  while (sending.on) {
    uint64_t due = sending.start + (uint64_t)(sending.seq * sending.interval);
    if (due >= sending.end) {
      printf("sent %u %u %llu %llu\n", sending.run, sending.seq, (unsigned long long)sending.refused, (unsigned long long)sending.late);
      sending.on = false;
      break;
    }
    now = now_ns();
    if (due > now) { if (due < next) next = due; break; }
    if (now - due > sending.late) sending.late = now - due;
    if (!transmit(DATA, sending.run, sending.seq, now, sending.bytes)) sending.refused++;
    sending.seq++;
  }
  if (waiting.on) {
    uint64_t quiet_at = last_arrival + waiting.quiet;
    if (record_count >= waiting.count || now >= quiet_at || now >= waiting.until) {
      waiting.on = false;
      printf("wait %zu\n", record_count);
    } else {
      if (quiet_at < next) next = quiet_at;
      if (waiting.until < next) next = waiting.until;
    }
  }
  return next;
}

static void take(const char *path) {
  FILE *file = fopen(path, "wb");
  bool ok = file && fwrite(records, sizeof *records, record_count, file) == record_count;
  if (file && fclose(file) != 0) ok = false;
  if (ok) printf("take %zu\n", record_count);
  else printf("error cannot write %s: %s\n", path, strerror(errno));
  record_count = 0;
}

static void command(char *line) {
  char path[3000];
  double rate, seconds, quiet, most;
  unsigned long bytes, count;
  uint64_t now = now_ns();
  if (sscanf(line, "greet %lf", &most) == 1) {
    greeting.on = true, greeting.until = now + (uint64_t)(most * 1e6), greeting.next = now;
  } else if (sscanf(line, "send %lf %lf %lu", &rate, &seconds, &bytes) == 3 && rate > 0 && bytes >= sizeof(header) && bytes <= MAX_BYTES) {
    if (bound && peer.sin_port == 0) { printf("error no peer has sent anything yet\n"); return; }
    sending.on = true, sending.run++, sending.seq = 0, sending.refused = sending.late = 0, sending.start = now;
    sending.end = seconds > 0 ? now + (uint64_t)(seconds * 1e9) : UINT64_MAX;
    sending.interval = 1e9 / rate, sending.bytes = bytes;
    printf("send %u\n", sending.run);
  } else if (!strcmp(line, "stop")) {
    sending.end = 0;
    printf("stop\n");
  } else if (!strcmp(line, "now")) {
    printf("now %llu\n", (unsigned long long)now);
  } else if (sscanf(line, "wait %lu %lf %lf", &count, &quiet, &most) == 3) {
    if (last_arrival < now) last_arrival = now;
    waiting.on = true, waiting.count = count, waiting.quiet = (uint64_t)(quiet * 1e6), waiting.until = now + (uint64_t)(most * 1e6);
  } else if (sscanf(line, "take %2999[^\n]", path) == 1) take(path);
  else printf("error unknown command: %s\n", line);
}

static bool read_commands(void) {
  static char buffer[4096];
  static size_t used;
  ssize_t got = read(STDIN_FILENO, buffer + used, sizeof buffer - 1 - used);
  if (got <= 0) return false;
  used += (size_t)got;
  char *start = buffer;
  for (char *end; (end = memchr(start, '\n', used - (size_t)(start - buffer))); start = end + 1) {
    *end = 0;
    command(start);
  }
  used -= (size_t)(start - buffer);
  memmove(buffer, start, used);
  return used < sizeof buffer - 1;
}

int main(int count, char **argument) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (count != 4 || (strcmp(argument[1], "bind") && strcmp(argument[1], "connect")) ||
      inet_pton(AF_INET, argument[2], &address.sin_addr) != 1) {
    fprintf(stderr, "usage: pulse bind|connect IPV4 PORT\n");
    return 2;
  }
  address.sin_port = htons((uint16_t)atoi(argument[3]));
  bound = !strcmp(argument[1], "bind");
  sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int room = 16 << 20; /* a burst after a stall must not be lost here and be blamed on the tunnel */
  if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (!bound) peer = address;
  else if (bind(sock, (struct sockaddr *)&address, sizeof address) < 0) { perror("pulse: bind"); return 1; }
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_TIMERSLACK, 1);
  struct sched_param priority = {.sched_priority = 10};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0) perror("pulse: no real-time priority, pacing will jitter");
  printf("ready\n");
  for (;;) {
    uint64_t next = run_timers(now_ns()), now = now_ns(), wait = next > now ? next - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / NANOS), .tv_nsec = (long)(wait % NANOS)};
    struct pollfd polled[2] = {{STDIN_FILENO, POLLIN, 0}, {sock, POLLIN, 0}};
    if (ppoll(polled, 2, next == UINT64_MAX ? NULL : &timeout, NULL) < 0) continue;
    if (polled[1].revents) receive();
    if (polled[0].revents && !read_commands()) return 0;
  }
}
