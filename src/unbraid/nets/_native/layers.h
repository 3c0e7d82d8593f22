/* One layer and one image: the convolution between two levels, its transpose, and the gradient of their weights.

   Activations are [row][column][channel], with a border of zeros one pixel wide. */

#include "cells.h"

/* big image of `side` to small one of side / 2 */
INLINE void down(const int end, const float *big, long side, long b, const float *w, const float *bias, float *small,
                 const float *like, long s, float *room) {
    long half = side / 2, big_row = (side + 2) * b, small_row = (half + 2) * s;
    small += small_row + s;
    like += small_row + s;
    if (winograd(side, b)) {
        cells in = {2 * big_row, 2 * b, 2, big_row, 2 * b};
        convolve(end, big, in, half, w, bias, small, like, small_row, s, s, room);
        return;
    }
    for (long t = 0; t < half * half; t += MR) {
        const float *a[MR], *l[MR];
        float *to[MR];
        for (int m = 0; m < MR; m++) {
            a[m] = big + place(t + m, half, 2 * big_row, 2 * b);
            to[m] = small + place(t + m, half, small_row, s);
            l[m] = like + place(t + m, half, small_row, s);
        }
        products(0, end, a, 4, big_row, 4 * b, w, bias, to, l, s);
    }
}

/* small image to big one of `side`: four images of side / 2, one for each parity of row and column */
INLINE void up(const int end, const float *small, long side, long s, const float *w, const float *bias, float *big,
               const float *like, long b, float *room) {
    long half = side / 2, big_row = (side + 2) * b, small_row = (half + 2) * s;
    int fast = winograd(side, b);
    for (long parity = 0; parity < 4; parity++, w += (fast ? 9 : 4) * s * b / (fast ? PER : 1)) {
        long y = parity / 2, x = parity % 2, first = (1 + y) * big_row + (1 + x) * b;
        const float *from = small + y * small_row + x * s;
        if (fast) {
            cells in = {small_row, s, 1, 0, s};
            convolve(end, from, in, half, w, bias, big + first, like + first, 2 * big_row, 2 * b, b, room);
            continue;
        }
        for (long t = 0; t < half * half; t += MR) {
            const float *a[MR], *l[MR];
            float *to[MR];
            for (int m = 0; m < MR; m++) {
                a[m] = from + place(t + m, half, small_row, s);
                to[m] = big + first + place(t + m, half, 2 * big_row, 2 * b);
                l[m] = like + first + place(t + m, half, 2 * big_row, 2 * b);
            }
            products(0, end, a, 2, small_row, 2 * s, w, bias, to, l, b);
        }
    }
}

/* `up` to few channels: all 16 taps of a pixel as one product, then laid over each other. `big` holds the bias. */
static void spread(const float *small, long side, long s, const float *w, float *big, long b, float *room) {
    long half = side / 2, big_row = (side + 2) * b, small_row = (half + 2) * s, taps = 16 * b, pair = 2 * b;
    float *row_of = room + MR * taps; /* [4][2][half][pair]: pairs side by side do not overlap */
    for (long t = 0; t < half * half; t += MR) {
        const float *a[MR];
        float *to[MR];
        for (int m = 0; m < MR; m++) {
            a[m] = small + small_row + s + place(t + m, half, small_row, s);
            to[m] = room + m * taps;
        }
        products(0, PLAIN, a, 1, 0, s, w, NULL, to, a, taps);
        for (int m = 0; m < MR; m++) {
            long column = (t + m) % half;
            for (long q = 0; q < 8; q++) {
                float *at = row_of + (q * half + column) * pair, *from = to[m] + q * pair;
                if (pair == 2)
                    memcpy(at, from, 2 * sizeof(float));
                else
                    memcpy(at, from, pair * sizeof(float));
            }
            if (column < half - 1) continue;
            for (long q = 0; q < 8; q++) { /* a row of pixels is there */
                float *row = big + (2 * ((t + m) / half) + q / 2) * big_row + q % 2 * pair;
                for (long x = 0; x < half * pair; x++) row[x] += row_of[q * half * pair + x];
            }
        }
    }
}

/* adds to MR of 16 * b rows, n vectors from `at` on */
INLINE void gradient_tile(const int n, const float *big, long side, long b, const float *small, long s, float *sums,
                          long first, long at) {
    long half = side / 2, big_row = (side + 2) * b, small_row = (half + 2) * s;
    const float *a[MR];
    vec acc[MR][NV];
    for (int m = 0; m < MR; m++) {
        a[m] = big + place(first + m, 4 * b, big_row, 1);
        for (int v = 0; v < n; v++) acc[m][v] = *(const vec *)(sums + (first + m) * s + at + v * VW);
    }
    for (long i = 0; i < half; i++) {
        const float *pixel = small + (i + 1) * small_row + s + at;
        long from = 2 * i * big_row;
        for (long j = 0; j < half; j++, pixel += s, from += 2 * b) {
            vec right[NV];
            for (int v = 0; v < n; v++) right[v] = *(const vec *)(pixel + v * VW);
            for (int m = 0; m < MR; m++)
                for (int v = 0; v < n; v++) acc[m][v] += right[v] * a[m][from];
        }
    }
    for (int m = 0; m < MR; m++)
        for (int v = 0; v < n; v++) *(vec *)(sums + (first + m) * s + at + v * VW) = acc[m][v];
}

/* adds to [16 * b][s], or to its combinations, the sum over pixels of what each tap saw times the pixel's blame */
static void gradient(const float *big, long side, long b, const float *small, long s, float *sums, float *room) {
    long half = side / 2, big_row = (side + 2) * b, small_row = (half + 2) * s;
    if (winograd(side, b)) {
        cells in = {2 * big_row, 2 * b, 2, big_row, 2 * b};
        correlate(big, in, half, small + small_row + s, small_row, s, s, sums, room);
        return;
    }
    for (long first = 0; first < 16 * b; first += MR) {
        long at = 0;
        for (; at + NR <= s; at += NR) gradient_tile(NV, big, side, b, small, s, sums, first, at);
        for (; at < s; at += VW) gradient_tile(1, big, side, b, small, s, sums, first, at);
    }
}

/* adds to [channels] the sum over an image's pixels */
static void totals(const float *image, long side, long c, float *sums) {
    for (long at = 0; at < c; at += c % VW ? 1 : VW)
        for (long i = 1; i <= side; i++) {
            const float *row = image + (i * (side + 2) + 1) * c + at;
            if (c % VW) {
                for (long j = 0; j < side; j++) sums[at] += row[j * c];
            } else {
                vec sum = *(const vec *)(sums + at);
                for (long j = 0; j < side; j++) sum += *(const vec *)(row + j * c);
                *(vec *)(sums + at) = sum;
            }
        }
}
