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

/* a chunk's buffers: for each level the activations and their gradient; the rest is room for whoever needs some */

static long area(const stack *s, long l) { return (s->side[l] + 2) * (s->side[l] + 2) * s->channels[l]; }

static float *buffers(const stack *s, long chunk, float **act, float **grad) {
    float *next = s->buffers + chunk * s->scratch, *start = next;
    for (long l = 0; l <= s->levels; l++) {
        act[l] = next;
        next += area(s, l);
        grad[l] = next;
        next += area(s, l);
    }
    memset(start, 0, (next - start) * sizeof(float)); /* the borders */
    return next;
}

long scratch_floats(const stack *s) {
    long sum = 0, room = 16 * (s->side[0] / 2 + MR) * s->channels[0];
    for (long l = 0; l < s->levels; l++) {
        long b = s->channels[l], c = s->channels[l + 1], deep = 4 * b > c ? 4 * b : c, wide = b > c ? b : c;
        long size = 9 * (BLOCK * (deep + wide) + 2 * GAP);
        if (winograd(s->side[l], b) && size > room) room = size;
    }
    for (long l = 0; l <= s->levels; l++) sum += 2 * area(s, l);
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

#define IMAGE(pointer, l) ((pointer) + i * s->side[l] * s->side[l] * s->channels[l])
#define EACH_IMAGE for (long i = s->batch * chunk / s->chunks; i < s->batch * (chunk + 1) / s->chunks; i++)

/* the halving stack */

static void shrink_chunk(stack *s, long chunk) {
    float *act[MOST], *grad[MOST], *room = buffers(s, chunk, act, grad);
    EACH_IMAGE {
        from_planes(IMAGE(s->x, 0), s->side[0], s->channels[0], act[0]);
        for (long l = 0; l < s->levels; l++) {
            down(RELU, act[l], s->side[l], s->channels[l], s->packed_down[l], s->bias[l], act[l + 1], act[l + 1],
                 s->channels[l + 1], room);
            if (s->kept[l + 1])
                without_border(act[l + 1], s->side[l + 1], s->channels[l + 1], IMAGE(s->kept[l + 1], l + 1));
        }
        to_planes(act[s->levels], s->side[s->levels], s->channels[s->levels], IMAGE(s->out, s->levels));
    }
}

static void shrink_back_chunk(stack *s, long chunk) {
    float *act[MOST], *grad[MOST], *room = buffers(s, chunk, act, grad);
    long top = s->levels;
    forget_sums(s, chunk, 1);
    EACH_IMAGE {
        from_planes(IMAGE(s->x, 0), s->side[0], s->channels[0], act[0]);
        from_planes(IMAGE(s->out, top), s->side[top], s->channels[top], act[top]);
        from_planes(IMAGE(s->d_out, top), s->side[top], s->channels[top], grad[top]);
        for (long t = 0; t < area(s, top); t++) grad[top][t] = act[top][t] <= 0 ? 0 : grad[top][t];
        for (long l = 1; l < top; l++) {
            if (s->kept[l])
                with_border(IMAGE(s->kept[l], l), s->side[l], s->channels[l], act[l]);
            else
                down(RELU, act[l - 1], s->side[l - 1], s->channels[l - 1], s->packed_down[l - 1], s->bias[l - 1],
                     act[l], act[l], s->channels[l], room);
        }
        for (long l = top - 1; l >= 0; l--) {
            long b = s->channels[l], c = s->channels[l + 1];
            gradient(act[l], s->side[l], b, grad[l + 1], c, s->partial[l] + chunk * sums(s, l), room);
            totals(grad[l + 1], s->side[l + 1], c, s->partial_bias[l] + chunk * c);
            if (l > 0) up(MASKED, grad[l + 1], s->side[l], c, s->packed_up[l], NULL, grad[l], act[l], b, room);
        }
        if (s->d_x) {
            fill(grad[0], s->side[0], s->channels[0], NULL);
            spread(grad[1], s->side[0], s->channels[1], s->packed_up[0], grad[0], s->channels[0], room);
            to_planes(grad[0], s->side[0], s->channels[0], IMAGE(s->d_x, 0));
        }
    }
}

/* the doubling stack: reads the top level, gives level 0 */

static void grow_chunk(stack *s, long chunk) {
    float *act[MOST], *grad[MOST], *room = buffers(s, chunk, act, grad);
    long top = s->levels;
    EACH_IMAGE {
        from_planes(IMAGE(s->x, top), s->side[top], s->channels[top], act[top]);
        for (long l = top - 1; l > 0; l--) {
            up(RELU, act[l + 1], s->side[l], s->channels[l + 1], s->packed_up[l], s->bias[l], act[l], act[l],
               s->channels[l], room);
            if (s->kept[l]) without_border(act[l], s->side[l], s->channels[l], IMAGE(s->kept[l], l));
        }
        fill(act[0], s->side[0], s->channels[0], s->bias[0]);
        spread(act[1], s->side[0], s->channels[1], s->packed_up[0], act[0], s->channels[0], room);
        to_planes(act[0], s->side[0], s->channels[0], IMAGE(s->out, 0));
    }
}

static void grow_back_chunk(stack *s, long chunk) {
    float *act[MOST], *grad[MOST], *room = buffers(s, chunk, act, grad);
    long top = s->levels;
    forget_sums(s, chunk, 0);
    EACH_IMAGE {
        from_planes(IMAGE(s->x, top), s->side[top], s->channels[top], act[top]);
        from_planes(IMAGE(s->d_out, 0), s->side[0], s->channels[0], grad[0]);
        for (long l = top - 1; l > 0; l--) {
            if (s->kept[l])
                with_border(IMAGE(s->kept[l], l), s->side[l], s->channels[l], act[l]);
            else
                up(RELU, act[l + 1], s->side[l], s->channels[l + 1], s->packed_up[l], s->bias[l], act[l], act[l],
                   s->channels[l], room);
        }
        for (long l = 0; l < top; l++) {
            long b = s->channels[l], c = s->channels[l + 1];
            gradient(grad[l], s->side[l], b, act[l + 1], c, s->partial[l] + chunk * sums(s, l), room);
            totals(grad[l], s->side[l], b, s->partial_bias[l] + chunk * b);
            if (l + 1 < top)
                down(MASKED, grad[l], s->side[l], b, s->packed_down[l], NULL, grad[l + 1], act[l + 1], c, room);
            else if (s->d_x)
                down(PLAIN, grad[l], s->side[l], b, s->packed_down[l], NULL, grad[l + 1], act[l + 1], c, room);
        }
        if (s->d_x) to_planes(grad[top], s->side[top], s->channels[top], IMAGE(s->d_x, top));
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
