/*
 * loopback-peer: one end of a UDP conversation, made to load a forwarder without needing much CPU itself: datagrams
 * leave and arrive in batches, arrivals go into a histogram. They look like WireGuard transport messages.
 *
 * usage: loopback-peer bind ADDRESS PORT      waits for a peer and sends to whoever sent last
 *        loopback-peer connect ADDRESS PORT   talks to that address
 *        loopback-peer echo ADDRESS PORT      sends everything back to where it came from, and takes no commands
 *
 * Prints `ready PORT`. stdin, one line each, answered by one line of stdout that starts with the command's name or "error":
 *   greet TIMEOUT_MS                         until the peer has answered    -> greet RTT_NS
 *   send RATE SECONDS BYTES FLOWS TICK_US    batches of what is due         -> send RUN, later: sent RUN COUNT REFUSED LATE_NS
 *   wait RUN COUNT QUIET_MS MAX_MS           until COUNT datagrams of RUN have come, or none for QUIET_MS, or MAX_MS
 *                                            have passed                    -> wait COUNT
 *   take RUN                                 what came of RUN               -> take COUNT DUPLICATES P50 P95 P99 P999 MAX SPAN
 * Times are CLOCK_MONOTONIC in ns; latencies are one way, from just before the system call that sent the batch, exact
 * to 1 %. SPAN is the time from the first to the last arrival. LATE_NS is the worst delay of a send behind its schedule:
 * a large one means that this machine was too busy to measure. REFUSED counts what the kernel did not take. Ends with
 * its stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
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
#define BATCH 64
#define MAX_BYTES 65507
#define TRANSPORT 4u /* WireGuard's message type, little endian */
enum { GREETING = 0, ANSWER = 0xffffffff };

/* type, receiver index and counter as in WireGuard; the rest is the encrypted part there */
typedef struct { uint32_t type, receiver; uint64_t counter; uint32_t run, unused; uint64_t sent; } header;

static int sock;
static bool bound;
static struct sockaddr_in peer;
static struct { bool on; uint32_t run, flows; uint64_t count, start, end, refused, late, tick, next; double rate; size_t bytes; } sending;
static struct { bool on; uint64_t until, next; } greeting;
static struct { bool on; uint32_t run; uint64_t count, quiet, since, until; } waiting;

#define FINE 128 /* buckets for each power of two: 1 % */
static struct {
  uint32_t run;
  uint64_t count, duplicates, first, last, max, buckets[64 * FINE];
  uint8_t *seen;
  uint64_t seen_room;
} arrived;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NANOS + (uint64_t)t.tv_nsec;
}

static unsigned bucket_of(uint64_t ns) {
  if (ns < FINE) return (unsigned)ns;
  unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 7u;
  return (shift + 1) * FINE + (unsigned)((ns >> shift) - FINE);
}

static uint64_t bucket_floor(unsigned bucket) {
  if (bucket < FINE) return bucket;
  return (uint64_t)(bucket % FINE + FINE) << (bucket / FINE - 1);
}

static uint64_t percentile(double share) {
  uint64_t rank = (uint64_t)(share * (double)arrived.count + 0.5), sum = 0;
  for (unsigned i = 0; i < 64 * FINE; i++)
    if ((sum += arrived.buckets[i]) >= rank && sum > 0) return bucket_floor(i);
  return 0;
}

static void begin_run(uint32_t run) {
  uint8_t *seen = arrived.seen;
  uint64_t room = arrived.seen_room;
  if (seen) memset(seen, 0, room);
  memset(&arrived, 0, sizeof arrived);
  arrived.run = run, arrived.seen = seen, arrived.seen_room = room;
}

/* true if this number has come before */
static bool note(uint64_t counter) {
  uint64_t byte = counter >> 3;
  if (byte >= arrived.seen_room) {
    uint64_t room = (byte + 1) * 2 < 65536 ? 65536 : (byte + 1) * 2;
    if (room > (1ull << 30) || !(arrived.seen = realloc(arrived.seen, room))) exit(1);
    memset(arrived.seen + arrived.seen_room, 0, room - arrived.seen_room);
    arrived.seen_room = room;
  }
  bool seen = arrived.seen[byte] & (1 << (counter & 7));
  arrived.seen[byte] |= (uint8_t)(1 << (counter & 7));
  return seen;
}

static void keep(const header *h, uint64_t now) {
  if (h->run != arrived.run) begin_run(h->run);
  if (note(h->counter)) { arrived.duplicates++; return; }
  if (arrived.count++ == 0) arrived.first = now;
  arrived.last = now;
  uint64_t latency = now > h->sent ? now - h->sent : 0;
  if (latency > arrived.max) arrived.max = latency;
  arrived.buckets[bucket_of(latency)]++;
}

static void say(uint32_t run, uint64_t sent) {
  header h = {.type = TRANSPORT, .run = run, .sent = sent};
  sendto(sock, &h, sizeof h, 0, (struct sockaddr *)&peer, sizeof peer);
}

static int receive(void) {
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
    if (messages[i].msg_len < sizeof *h || h->type != TRANSPORT) continue;
    if (bound) peer = from[i];
    if (h->run == GREETING) say((uint32_t)ANSWER, h->sent);
    else if (h->run == (uint32_t)ANSWER) {
      if (greeting.on) printf("greet %llu\n", (unsigned long long)(now - h->sent));
      greeting.on = false;
    } else keep(h, now);
  }
  return count;
}

static void send_batch(unsigned count, uint64_t now) {
  static header heads[BATCH];
  static uint8_t filler[MAX_BYTES];
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH][2];
  for (unsigned i = 0; i < count; i++) {
    uint64_t counter = sending.count + i;
    heads[i] = (header){.type = TRANSPORT, .receiver = 1 + (uint32_t)(counter % sending.flows), .counter = counter, .run = sending.run, .sent = now};
    parts[i][0] = (struct iovec){&heads[i], sizeof(header)};
    parts[i][1] = (struct iovec){filler, sending.bytes - sizeof(header)};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = parts[i], .msg_iovlen = 2};
  }
  unsigned done = 0;
  for (int failures = 0; done < count && failures < 2;) { /* an ICMP error of an earlier datagram fails the next send */
    int taken = sendmmsg(sock, messages + done, count - done, 0);
    if (taken > 0) done += (unsigned)taken;
    else failures++;
  }
  sending.refused += count - done;
  sending.count += count;
}

/* What is due goes out; returns when to look again. */
static uint64_t run_timers(void) {
  uint64_t now = now_ns(), next = UINT64_MAX;
  if (greeting.on && now >= greeting.until) greeting.on = false, printf("error no answer to the greeting\n");
  if (greeting.on && now >= greeting.next) say(GREETING, now), greeting.next = now + NANOS / 10;
  if (greeting.on) next = greeting.next < greeting.until ? greeting.next : greeting.until;
  if (sending.on && now >= sending.next) {
    uint64_t until = now < sending.end ? now : sending.end;
    uint64_t due = (uint64_t)((double)(until - sending.start) * sending.rate / 1e9);
    if (now - sending.next > sending.late) sending.late = now - sending.next;
    while (sending.count < due) send_batch(due - sending.count > BATCH ? BATCH : (unsigned)(due - sending.count), now_ns());
    while (sending.next <= now) sending.next += sending.tick;
    if (now >= sending.end) {
      printf("sent %u %llu %llu %llu\n", sending.run, (unsigned long long)sending.count, (unsigned long long)sending.refused, (unsigned long long)sending.late);
      sending.on = false;
    }
  }
  if (sending.on && sending.next < next) next = sending.next;
  if (waiting.on) {
    uint64_t came = arrived.run == waiting.run ? arrived.count : 0;
    uint64_t heard = arrived.last > waiting.since ? arrived.last : waiting.since, quiet_at = heard + waiting.quiet;
    if (came >= waiting.count || now >= waiting.until || now >= quiet_at) {
      waiting.on = false;
      printf("wait %llu\n", (unsigned long long)came);
    } else next = next < quiet_at ? next : quiet_at;
  }
  return next;
}

static void command(char *line) {
  double rate, seconds, quiet, most, tick;
  unsigned long bytes, count, flows;
  unsigned run;
  uint64_t now = now_ns();
  if (sscanf(line, "greet %lf", &most) == 1) {
    greeting.on = true, greeting.until = now + (uint64_t)(most * 1e6), greeting.next = now;
  } else if (sscanf(line, "send %lf %lf %lu %lu %lf", &rate, &seconds, &bytes, &flows, &tick) == 5 && rate > 0 && seconds > 0 &&
             bytes >= sizeof(header) && bytes <= MAX_BYTES && flows > 0 && tick > 0) {
    if (peer.sin_port == 0) { printf("error no peer has sent anything yet\n"); return; }
    sending.on = true, sending.run++, sending.count = sending.refused = sending.late = 0, sending.rate = rate, sending.bytes = bytes;
    sending.flows = (uint32_t)flows, sending.tick = (uint64_t)(tick * 1e3), sending.start = now, sending.next = now;
    sending.end = now + (uint64_t)(seconds * 1e9);
    printf("send %u\n", sending.run);
  } else if (sscanf(line, "wait %u %lu %lf %lf", &run, &count, &quiet, &most) == 4) {
    waiting.on = true, waiting.run = run, waiting.count = count, waiting.quiet = (uint64_t)(quiet * 1e6), waiting.since = now;
    waiting.until = now + (uint64_t)(most * 1e6);
  } else if (sscanf(line, "take %u", &run) == 1) {
    if (run != arrived.run) begin_run(run);
    printf("take %llu %llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)arrived.count, (unsigned long long)arrived.duplicates,
           (unsigned long long)percentile(0.50), (unsigned long long)percentile(0.95), (unsigned long long)percentile(0.99),
           (unsigned long long)percentile(0.999), (unsigned long long)arrived.max, (unsigned long long)(arrived.last - arrived.first));
  } else printf("error unknown command: %s\n", line);
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

static _Noreturn void echo(void) {
  static uint8_t room[BATCH][MAX_BYTES];
  static struct sockaddr_in from[BATCH];
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){room[i], sizeof room[i]};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(sock, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < count; i++) parts[i].iov_len = messages[i].msg_len;
    for (int done = 0, taken; done < count; done += taken > 0 ? taken : 1) taken = sendmmsg(sock, messages + done, (unsigned)(count - done), 0);
  }
}

int main(int count, char **argument) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  bool echoes = count == 4 && !strcmp(argument[1], "echo");
  if (count != 4 || (strcmp(argument[1], "bind") && strcmp(argument[1], "connect") && !echoes) ||
      inet_pton(AF_INET, argument[2], &address.sin_addr) != 1) {
    fprintf(stderr, "usage: loopback-peer bind|connect|echo IPV4 PORT\n");
    return 2;
  }
  address.sin_port = htons((uint16_t)atoi(argument[3]));
  bound = strcmp(argument[1], "connect") != 0;
  sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int room = 16 << 20; /* what is lost here would be blamed on the forwarder */
  if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (!bound) peer = address;
  else if (bind(sock, (struct sockaddr *)&address, sizeof address) < 0) { perror("loopback-peer: bind"); return 1; }
  socklen_t length = sizeof address;
  getsockname(sock, (struct sockaddr *)&address, &length);
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_TIMERSLACK, 1);
  printf("ready %u\n", ntohs(address.sin_port));
  if (echoes) echo();
  for (;;) {
    uint64_t next = run_timers(), now = now_ns(), wait = next > now ? next - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / NANOS), .tv_nsec = (long)(wait % NANOS)};
    struct pollfd polled[2] = {{STDIN_FILENO, POLLIN, 0}, {sock, POLLIN, 0}};
    if (ppoll(polled, 2, next == UINT64_MAX ? NULL : &timeout, NULL) < 0) continue;
    if (polled[1].revents) receive();
    if (polled[0].revents && !read_commands()) return 0;
  }
}
