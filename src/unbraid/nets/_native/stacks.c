/* Stacks of 4x4 stride-2 convolutions, halving an image's side down to 4 or doubling it back, with ReLU between layers.

   One image at a time goes through all layers, so that its activations stay in a core's own cache. Level 0 is the
   image, level l has side 4 * 2^(levels - l). Between the same two levels the convolution (`down`), the transposed one
   (`up`) and the gradient of their weights (`gradient`) are matrix products whose left operand is read out of the
   image itself. Images are shared out in chunks, and the chunks' sums added up in their order, so that a result depends
   on the number of chunks alone. */

#include "layout.h"

enum { MOST = 12 }; /* levels */

typedef struct {
    long levels, batch, chunks, scratch; /* scratch: floats a chunk */
    long side[MOST], channels[MOST];
    const float *x;             /* what the stack reads, [batch][channel][row][column] */
    float *out;                 /* what it gives, likewise */
    float *kept[MOST];          /* activations between, [batch][row][column][channel] */
    const float *weight[MOST];  /* between level l and l + 1, PyTorch's */
    const float *bias[MOST];
    const float *d_out;         /* gradient of `out` */
    float *d_x;                 /* gradient of `x`, or NULL */
    float *d_weight[MOST];      /* PyTorch's layout */
    float *d_bias[MOST];
    float *packed_down[MOST], *packed_up[MOST], *partial[MOST], *partial_bias[MOST]; /* partial: one a chunk */
    float *buffers;
} stack;

/* threads: those of the OpenMP library that is loaded already, so that no second pool competes with it */

typedef void (*region)(void *);
static void (*open_region)(region, void *, unsigned, unsigned);
static int (*my_number)(void), (*team_size)(void);

void use_threads(void *parallel, void *number, void *size) {
    open_region = (void (*)(region, void *, unsigned, unsigned))parallel;
    my_number = (int (*)(void))number;
    team_size = (int (*)(void))size;
}

typedef struct { void (*work)(stack *, long); stack *s; } job;

static void share(void *given) {
    job *j = given;
    long team = team_size();
    for (long c = my_number(); c < j->s->chunks; c += team) j->work(j->s, c);
}

static void in_parallel(void (*work)(stack *, long), stack *s) {
    job j = {work, s};
    if (open_region && s->chunks > 1)
        open_region(share, &j, (unsigned)s->chunks, 0);
    else
        for (long c = 0; c < s->chunks; c++) work(s, c);
}

/* a chunk's buffers: for each level the activations and their gradient; the rest is room for whoever needs some

   Weights, their combinations and the sums for their gradient take twice what a core's own cache holds. So the few,
   large images of the levels below DEEP are gone through one by one, and the small ones above level by level, GROUP of
   them under the same weights. */

enum { DEEP = 2, GROUP = 4 };

typedef struct {
    float *act[MOST][GROUP], *grad[MOST][GROUP], *room;
} desk;

static long area(const stack *s, long l) { return (s->side[l] + 2) * (s->side[l] + 2) * s->channels[l]; }

static long few(long a, long b) { return a < b ? a : b; }

static desk buffers(const stack *s, long chunk) {
    desk d;
    float *next = s->buffers + chunk * s->scratch, *start = next;
    for (long l = 0; l <= s->levels; l++)
        for (long g = 0; g < GROUP; g++) {
            int own = g == 0 || l >= DEEP;
            d.act[l][g] = own ? next : d.act[l][0];
            d.grad[l][g] = own ? next + area(s, l) : d.grad[l][0];
            if (own) next += 2 * area(s, l);
        }
    memset(start, 0, (next - start) * sizeof(float)); /* the borders */
    d.room = next;
    return d;
}

long scratch_floats(const stack *s) {
    long sum = 0, room = 16 * (s->side[0] / 2 + MR) * s->channels[0];
    for (long l = 0; l < s->levels; l++) {
        long b = s->channels[l], c = s->channels[l + 1], deep = 4 * b > c ? 4 * b : c, wide = b > c ? b : c;
        long size = 9 * (BLOCK * (deep + wide) + 2 * GAP);
        if (winograd(s->side[l], b) && size > room) room = size;
    }
    for (long l = 0; l <= s->levels; l++) sum += 2 * area(s, l) * (l >= DEEP ? GROUP : 1);
    return sum + room;
}

/* floats of the sums that the gradient between levels l and l + 1 is made from */
static long sums(const stack *s, long l) {
    return (winograd(s->side[l], s->channels[l]) ? 36 : 16) * s->channels[l] * s->channels[l + 1];
}

static void forget_sums(const stack *s, long chunk, long first) {
    for (long l = 0; l < s->levels; l++) {
        long biases = s->channels[l + first];
        memset(s->partial[l] + chunk * sums(s, l), 0, sums(s, l) * sizeof(float));
        memset(s->partial_bias[l] + chunk * biases, 0, biases * sizeof(float));
    }
}

/* the chunks' sums, one after the other */
INLINE vec summed(const stack *s, long l, long at) {
    vec sum = {0};
    for (long part = 0; part < s->chunks; part++) sum += *(const vec *)(s->partial[l] + part * sums(s, l) + at);
    return sum;
}

/* gradients of weights in PyTorch's layout */
static void collect(const stack *s, long l) {
    long b = s->channels[l], c = s->channels[l + 1], fast = winograd(s->side[l], b);
    for (long j = 0; j < b; j++)
        for (long k = 0; k < c; k += VW) {
            vec taps[16], g[9];
            for (long tap = 0; tap < 16 && !fast; tap++) taps[tap] = summed(s, l, (tap * b + j) * c + k);
            for (long pixel = 0; pixel < 4 && fast; pixel++) {
                for (long e = 0; e < 9; e++) g[e] = summed(s, l, ((e * 4 + pixel) * b + j) * c + k);
                for (long which = 0; which < 4; which++) {
                    vec *corner = g + 3 * (which / 2) + which % 2;
                    taps[8 * (which / 2) + 2 * (which % 2) + 4 * (pixel / 2) + pixel % 2] =
                        corner[0] + corner[1] + corner[3] + corner[4];
                }
            }
            for (long v = 0; v < VW; v++)
                for (long tap = 0; tap < 16; tap++) s->d_weight[l][((k + v) * b + j) * 16 + tap] = taps[tap][v];
        }
}

static void collect_bias(const stack *s, long l, long c) {
    for (long k = 0; k < c; k++) {
        float sum = 0;
        for (long part = 0; part < s->chunks; part++) sum += s->partial_bias[l][part * c + k];
        s->d_bias[l][k] = sum;
    }
}

/* one level of one image: the g-th on the desk, number i of the batch */

static float *image(float *images, const stack *s, long i, long l) {
    return images + i * s->side[l] * s->side[l] * s->channels[l];
}

static void load(const stack *s, desk *d, long g, long i, long l) {
    with_border(image(s->kept[l], s, i, l), s->side[l], s->channels[l], d->act[l][g]);
}

static void keep_image(const stack *s, desk *d, long g, long i, long l) {
    if (s->kept[l]) without_border(d->act[l][g], s->side[l], s->channels[l], image(s->kept[l], s, i, l));
}

static void take(const float *planes, const stack *s, float *to, long i, long l) {
    from_planes(image((float *)planes, s, i, l), s->side[l], s->channels[l], to);
}

static void give(const float *from, const stack *s, float *planes, long i, long l) {
    to_planes(from, s->side[l], s->channels[l], image(planes, s, i, l));
}

/* activations of level l + 1 from those of level l, and the other way round */
static void halve(const stack *s, desk *d, long g, long l) {
    float *to = d->act[l + 1][g];
    down(RELU, d->act[l][g], s->side[l], s->channels[l], s->packed_down[l], s->bias[l], to, to, s->channels[l + 1],
         d->room);
}

static void twice(const stack *s, desk *d, long g, long l) {
    float *to = d->act[l][g];
    up(RELU, d->act[l + 1][g], s->side[l], s->channels[l + 1], s->packed_up[l], s->bias[l], to, to, s->channels[l],
       d->room);
}

/* the gradient of the weights between levels l and l + 1, and with it that of level l, or of level l + 1 */
static void halve_back(const stack *s, desk *d, long chunk, long g, long l) {
    long b = s->channels[l], c = s->channels[l + 1];
    gradient(d->act[l][g], s->side[l], b, d->grad[l + 1][g], c, s->partial[l] + chunk * sums(s, l), d->room);
    totals(d->grad[l + 1][g], s->side[l + 1], c, s->partial_bias[l] + chunk * c);
    if (l > 0)
        up(MASKED, d->grad[l + 1][g], s->side[l], c, s->packed_up[l], NULL, d->grad[l][g], d->act[l][g], b, d->room);
}

static void twice_back(const stack *s, desk *d, long chunk, long g, long l) {
    long b = s->channels[l], c = s->channels[l + 1];
    float *from = d->grad[l][g], *to = d->grad[l + 1][g], *like = d->act[l + 1][g];
    gradient(from, s->side[l], b, like, c, s->partial[l] + chunk * sums(s, l), d->room);
    totals(from, s->side[l], b, s->partial_bias[l] + chunk * b);
    if (l + 1 < s->levels)
        down(MASKED, from, s->side[l], b, s->packed_down[l], NULL, to, like, c, d->room);
    else if (s->d_x)
        down(PLAIN, from, s->side[l], b, s->packed_down[l], NULL, to, like, c, d->room);
}

#define EACH_GROUP                                                                                        \
    for (long last = s->batch * (chunk + 1) / s->chunks, i = s->batch * chunk / s->chunks, n; i < last; i += n) \
        if ((n = few(GROUP, last - i)))
#define EACH for (long g = 0; g < n; g++)

/* the halving stack */

static void shrink_chunk(stack *s, long chunk) {
    desk d = buffers(s, chunk);
    long top = s->levels, edge = few(DEEP, top);
    EACH_GROUP {
        EACH {
            take(s->x, s, d.act[0][g], i + g, 0);
            for (long l = 0; l < edge; l++) halve(s, &d, g, l), keep_image(s, &d, g, i + g, l + 1);
            if (edge == top) give(d.act[top][g], s, s->out, i + g, top);
        }
        for (long l = edge; l < top; l++) EACH halve(s, &d, g, l), keep_image(s, &d, g, i + g, l + 1);
        EACH if (edge < top) give(d.act[top][g], s, s->out, i + g, top);
    }
}

/* activations and gradient of the top level */
static void blame(const stack *s, desk *d, long g, long i) {
    long top = s->levels;
    float *act = d->act[top][g], *grad = d->grad[top][g];
    take(s->out, s, act, i, top), take(s->d_out, s, grad, i, top);
    for (long t = 0; t < area(s, top); t++) grad[t] = act[t] <= 0 ? 0 : grad[t];
}

static void shrink_back_chunk(stack *s, long chunk) {
    desk d = buffers(s, chunk);
    long top = s->levels, edge = few(DEEP, top);
    forget_sums(s, chunk, 1);
    EACH_GROUP {
        EACH if (edge == DEEP) blame(s, &d, g, i + g);
        for (long l = top - 1; l >= edge; l--) EACH load(s, &d, g, i + g, l), halve_back(s, &d, chunk, g, l);
        EACH {
            if (edge < DEEP) blame(s, &d, g, i + g);
            take(s->x, s, d.act[0][g], i + g, 0);
            for (long l = 1; l < edge; l++) halve(s, &d, g, l - 1); /* not kept: quicker than reading it back */
            for (long l = edge - 1; l >= 0; l--) halve_back(s, &d, chunk, g, l);
            if (!s->d_x) continue;
            fill(d.grad[0][g], s->side[0], s->channels[0], NULL);
            spread(d.grad[1][g], s->side[0], s->channels[1], s->packed_up[0], d.grad[0][g], s->channels[0], d.room);
            give(d.grad[0][g], s, s->d_x, i + g, 0);
        }
    }
}

/* the doubling stack: reads the top level, gives level 0 */

static void grow_chunk(stack *s, long chunk) {
    desk d = buffers(s, chunk);
    long top = s->levels, edge = few(DEEP, top);
    EACH_GROUP {
        EACH if (edge == DEEP) take(s->x, s, d.act[top][g], i + g, top);
        for (long l = top - 1; l >= edge; l--) EACH twice(s, &d, g, l), keep_image(s, &d, g, i + g, l);
        EACH {
            if (edge < DEEP) take(s->x, s, d.act[top][g], i + g, top);
            for (long l = edge - 1; l > 0; l--) twice(s, &d, g, l), keep_image(s, &d, g, i + g, l);
            fill(d.act[0][g], s->side[0], s->channels[0], s->bias[0]);
            spread(d.act[1][g], s->side[0], s->channels[1], s->packed_up[0], d.act[0][g], s->channels[0], d.room);
            give(d.act[0][g], s, s->out, i + g, 0);
        }
    }
}

static void grow_back_chunk(stack *s, long chunk) {
    desk d = buffers(s, chunk);
    long top = s->levels, edge = few(DEEP, top);
    forget_sums(s, chunk, 0);
    EACH_GROUP {
        EACH {
            take(s->x, s, d.act[top][g], i + g, top), take(s->d_out, s, d.grad[0][g], i + g, 0);
            for (long l = few(edge, top - 1); l > 0; l--) s->kept[l] ? load(s, &d, g, i + g, l) : twice(s, &d, g, l);
            for (long l = 0; l < edge; l++) twice_back(s, &d, chunk, g, l);
            if (s->d_x && edge == top) give(d.grad[top][g], s, s->d_x, i + g, top);
        }
        for (long l = edge; l < top; l++)
            EACH {
                if (l + 1 < top) load(s, &d, g, i + g, l + 1);
                twice_back(s, &d, chunk, g, l);
            }
        EACH if (s->d_x && edge < top) give(d.grad[top][g], s, s->d_x, i + g, top);
    }
}

static void pack(stack *s, int downwards, int upwards) {
    for (long l = 0; l < s->levels; l++) {
        long b = s->channels[l], c = s->channels[l + 1];
        int fast = winograd(s->side[l], b);
        if (downwards) pack_down(s->weight[l], b, c, fast, s->packed_down[l]);
        if (upwards && l) pack_up(s->weight[l], b, c, fast, s->packed_up[l]);
        if (upwards && !l) pack_spread(s->weight[l], b, c, s->packed_up[l]);
    }
}

void shrink(stack *s) {
    pack(s, 1, 0);
    in_parallel(shrink_chunk, s);
}

void shrink_back(stack *s) {
    pack(s, 1, 1);
    in_parallel(shrink_back_chunk, s);
    for (long l = 0; l < s->levels; l++) collect(s, l), collect_bias(s, l, s->channels[l + 1]);
}

void grow(stack *s) {
    pack(s, 0, 1);
    in_parallel(grow_chunk, s);
}

void grow_back(stack *s) {
    pack(s, 1, 1);
    in_parallel(grow_back_chunk, s);
    for (long l = 0; l < s->levels; l++) collect(s, l), collect_bias(s, l, s->channels[l]);
}
