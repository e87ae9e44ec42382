/*
 * wan-link: a WAN between two network namespaces, in user space, for kernels without netem.
 *
 *   namespace A                        this process                         namespace B
 *   [TUN IF_A] -- read --> drop-tail queue -> wire (rate) -> loss -> delay -- write --> [TUN IF_B]
 *   [TUN IF_A] <-- write -- delay <- loss <- wire (rate) <- drop-tail queue <-- read -- [TUN IF_B]
 *
 * usage: wan-link NS_A IF_A NS_B IF_B delay_ms loss_percent rate_mbit queue_packets seed
 *
 * rate_mbit counts IP packets without any link header; 0 means no limit. queue_packets bounds what waits for the wire,
 * not what is in flight. A lost packet has used the wire. Each direction has its own random sequence, so the traffic of
 * one direction does not change which packets the other one loses. Packets are never reordered.
 *
 * stdin, one line each, answered by one line of stdout ("ok", "error WHY" or the stats):
 *   [a|b] delay MS | loss PERCENT | rate MBIT | queue PACKETS | blackhole on|off     a: from A to B, b: from B to A
 *   stats
 * It prints "ready" when both devices exist. On SIGTERM, SIGINT or the end of stdin it prints the stats and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES 2048
#define RING_PACKETS 16384 /* a power of two: 32 MiB, 1.5 s of 100 Mbit/s */
#define READ_BATCH 64      /* then look at the clock again: due packets do not wait for a busy other side */
#define NANOS 1000000000ull

typedef struct {
  uint64_t wire_end; /* when its last bit has left the queue for the wire */
  uint64_t due;      /* when it arrives */
  int length;
  bool lost;
  uint8_t bytes[PACKET_BYTES];
} packet;

typedef struct {
  packet *ring;
  unsigned head, wire, tail; /* head: next to arrive, wire: first that has not left the queue, tail: next free */
  uint64_t wire_free, last_due, random;
  double delay_ns, loss, bytes_per_ns;
  unsigned queue_packets;
  bool blackhole;
  unsigned long in, out, lost, tail_dropped, blackholed, write_failed;
  unsigned peak_queue;
} direction;

static volatile sig_atomic_t stopping;
static void on_signal(int number) { (void)number; stopping = 1; }

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NANOS + (uint64_t)t.tv_nsec;
}

/* Uniform in [0, 1): xorshift64*. */
static double next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return (double)((x * 0x2545F4914F6CDD1Dull) >> 11) / 9007199254740992.0;
}

/* splitmix64, so that neighbouring seeds give unrelated sequences. Never 0, where xorshift would stay. */
static uint64_t seeded(uint64_t seed) {
  uint64_t z = seed + 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return z ? z : 1;
}

static int open_tun(const char *namespace, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  int handle = open(path, O_RDONLY | O_CLOEXEC);
  if (handle < 0 || setns(handle, CLONE_NEWNET) < 0) { perror(path); exit(1); }
  close(handle);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {0};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) { perror("wan-link: /dev/net/tun"); exit(1); }
  return fd;
}

static void admit(direction *d, uint64_t now) {
  packet *p = &d->ring[d->tail % RING_PACKETS]; /* its bytes are already in place */
  if (d->blackhole) { d->blackholed++; return; }
  while (d->wire != d->tail && d->ring[d->wire % RING_PACKETS].wire_end <= now) d->wire++;
  unsigned waiting = d->tail - d->wire;
  if (waiting > d->peak_queue) d->peak_queue = waiting;
  /* one of them is on the wire */
  if (d->bytes_per_ns > 0 && waiting > d->queue_packets) { d->tail_dropped++; return; }
  if (d->wire_free < now) d->wire_free = now;
  if (d->bytes_per_ns > 0) d->wire_free += (uint64_t)(p->length / d->bytes_per_ns);
  p->wire_end = d->wire_free;
  p->due = d->wire_free + (uint64_t)d->delay_ns;
  if (p->due < d->last_due) p->due = d->last_due; /* a shorter delay set at run time reorders nothing */
  d->last_due = p->due;
  p->lost = next_random(&d->random) < d->loss;
  d->tail++;
}

/* Reads what one device sends. A full ring leaves the rest in the device's own queue. */
static void take_in(direction *d, int fd) {
  for (int i = 0; i < READ_BATCH && d->tail - d->head < RING_PACKETS; i++) {
    packet *p = &d->ring[d->tail % RING_PACKETS];
    ssize_t length = read(fd, p->bytes, PACKET_BYTES);
    if (length <= 0) return;
    p->length = (int)length;
    d->in++;
    admit(d, now_ns());
  }
}

/* Writes out what has arrived; returns when the next packet is due. */
static uint64_t let_out(direction *d, int fd) {
  for (; d->head != d->tail; d->head++) {
    packet *p = &d->ring[d->head % RING_PACKETS];
    if (p->due > now_ns()) return p->due;
    if (d->wire == d->head) d->wire++;
    if (p->lost) d->lost++;
    else if (write(fd, p->bytes, (size_t)p->length) < 0) d->write_failed++; /* device down: like a cut cable */
    else d->out++;
  }
  return UINT64_MAX;
}

static void print_direction(const char *name, const direction *d) {
  printf("\"%s\":{\"in\":%lu,\"out\":%lu,\"lost\":%lu,\"tail_dropped\":%lu,\"blackholed\":%lu,\"write_failed\":%lu,"
         "\"in_flight\":%u,\"peak_queue\":%u}", name, d->in, d->out, d->lost, d->tail_dropped, d->blackholed,
         d->write_failed, d->tail - d->head, d->peak_queue);
}

static void print_stats(const direction *d) {
  printf("{");
  print_direction("a_to_b", &d[0]);
  printf(",");
  print_direction("b_to_a", &d[1]);
  printf("}\n");
}

static bool set(direction *d, const char *key, const char *value) {
  char *end;
  double number = strtod(value, &end);
  bool numeric = end != value && *end == 0 && number >= 0;
  if (!strcmp(key, "blackhole") && (!strcmp(value, "on") || !strcmp(value, "off"))) d->blackhole = !strcmp(value, "on");
  else if (!strcmp(key, "delay") && numeric) d->delay_ns = number * 1e6;
  else if (!strcmp(key, "loss") && numeric && number <= 100) d->loss = number / 100;
  else if (!strcmp(key, "rate") && numeric) d->bytes_per_ns = number * 1e6 / 8 / 1e9;
  else if (!strcmp(key, "queue") && numeric) d->queue_packets = (unsigned)number;
  else return false;
  return true;
}

static void command(direction *d, char *line) {
  char *words[4];
  int count = 0;
  for (char *word = strtok(line, " \t\r"); word && count < 4; word = strtok(NULL, " \t\r")) words[count++] = word;
  int first = 0, last = 1, key = 0;
  if (count > 0 && (!strcmp(words[0], "a") || !strcmp(words[0], "b"))) first = last = words[0][0] - 'a', key = 1;
  if (count == 1 && !strcmp(words[0], "stats")) { print_stats(d); return; }
  if (count != key + 2) { printf("error expected `[a|b] KEY VALUE` or `stats`\n"); return; }
  bool ok = true;
  for (int i = first; i <= last; i++) ok = set(&d[i], words[key], words[key + 1]) && ok;
  printf(ok ? "ok\n" : "error no setting `%s` with value `%s`\n", words[key], words[key + 1]);
}

/* Whole lines out of stdin; false at its end, which ends the link with whoever started it. */
static bool read_commands(direction *d) {
  static char buffer[4096];
  static size_t used;
  ssize_t got = read(STDIN_FILENO, buffer + used, sizeof buffer - 1 - used);
  if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
  used += (size_t)got;
  char *start = buffer;
  for (char *end; (end = memchr(start, '\n', used - (size_t)(start - buffer))); start = end + 1) {
    *end = 0;
    command(d, start);
  }
  used -= (size_t)(start - buffer);
  memmove(buffer, start, used);
  return used < sizeof buffer - 1;
}

int main(int count, char **argument) {
  if (count != 10) {
    fprintf(stderr, "usage: wan-link NS_A IF_A NS_B IF_B delay_ms loss_percent rate_mbit queue_packets seed\n");
    return 2;
  }
  int fd[2] = {open_tun(argument[1], argument[2]), open_tun(argument[3], argument[4])};
  direction d[2] = {0};
  static const char *keys[] = {"delay", "loss", "rate", "queue"};
  for (int i = 0; i < 2; i++) {
    d[i].ring = calloc(RING_PACKETS, sizeof(packet));
    d[i].random = seeded(strtoull(argument[9], NULL, 10) * 2 + (uint64_t)i);
    for (int k = 0; k < 4; k++)
      if (!d[i].ring || !set(&d[i], keys[k], argument[5 + k])) {
        fprintf(stderr, "wan-link: bad %s: %s\n", keys[k], argument[5 + k]);
        return 2;
      }
  }
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_TIMERSLACK, 1); /* ns; the default of 50 us would be added to every delay */
  struct sched_param priority = {.sched_priority = 20};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0) perror("wan-link: no real-time priority, delays will jitter");
  printf("ready\n");
  while (!stopping) {
    uint64_t next_a = let_out(&d[0], fd[1]), next_b = let_out(&d[1], fd[0]);
    uint64_t next = next_a < next_b ? next_a : next_b, now = now_ns();
    struct pollfd polled[3] = {{STDIN_FILENO, POLLIN, 0}, {fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}};
    /* a full ring must not make poll return at once, again and again */
    for (int i = 0; i < 2; i++)
      if (d[i].tail - d[i].head >= RING_PACKETS) polled[1 + i].fd = -1;
    uint64_t wait = next > now ? next - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / NANOS), .tv_nsec = (long)(wait % NANOS)};
    if (ppoll(polled, 3, next == UINT64_MAX ? NULL : &timeout, NULL) < 0) continue;
    for (int i = 0; i < 2; i++)
      if (polled[1 + i].revents & POLLIN) take_in(&d[i], fd[i]);
    if (polled[0].revents && !read_commands(d)) break;
  }
  print_stats(d);
  return 0;
}
