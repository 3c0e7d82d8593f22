/* Winograd's F(2x2, 2x2), in both directions.

   A 4x4 stride-2 convolution is a 2x2 one over cells of 2x2 pixels, and the transposed one four 2x2 ones, one for each
   parity. Two neighbouring outputs of two taps, d0 g0 + d1 g1 and d1 g0 + d2 g1, need three products, not four:
   (d0 - d1) g0, d1 (g0 + g1), (d2 - d1) g1. In both directions: 9 products for 16. The coefficients are 0 and 1 only,
   so that rounding errors stay about what they are. */

#include "vectors.h"

typedef struct {
    long row, column, parts, part, length; /* floats between cells, and between the `parts` runs of a cell */
} cells;

enum { GAP = 16, BLOCK = 16 }; /* floats between combinations, else they share a few lines of the first cache; tiles */

/* whether there are enough tiles for it between a level of `side` and the next, of cells as long as vectors */
INLINE int winograd(long side, long b) { return side >= 16 && b % VW == 0; }

/* nine combinations of 3x3 cells, for VW of their floats */
INLINE void combined(const float *from, cells in, vec all[9]) {
    vec d[3][3];
    for (int i = 0; i < 3; i++, from += in.row) {
        vec middle = *(const vec *)(from + in.column);
        d[i][0] = *(const vec *)from - middle, d[i][1] = middle, d[i][2] = *(const vec *)(from + 2 * in.column) - middle;
    }
    for (int j = 0; j < 3; j++) all[j] = d[0][j] - d[1][j], all[3 + j] = d[1][j], all[6 + j] = d[2][j] - d[1][j];
}

/* nine combinations of 2x2 pixels */
INLINE void spread_out(const float *pixel, long row, long column, vec all[9]) {
    vec rows[3][2];
    for (int j = 0; j < 2; j++) {
        rows[0][j] = *(const vec *)(pixel + j * column), rows[2][j] = *(const vec *)(pixel + row + j * column);
        rows[1][j] = rows[0][j] + rows[2][j];
    }
    for (int i = 0; i < 3; i++)
        all[3 * i] = rows[i][0], all[3 * i + 1] = rows[i][0] + rows[i][1], all[3 * i + 2] = rows[i][1];
}

/* four pixels from nine products, `apart` floats between them */
INLINE void separate(const int end, const float *from, long apart, const float *ready, float *to, const float *like,
                     long row, long column, long width) {
    for (long at = 0; at < width; at += VW) {
        vec y[2][3];
        for (int j = 0; j < 3; j++) {
            vec middle = *(const vec *)(from + (3 + j) * apart + at);
            y[0][j] = *(const vec *)(from + j * apart + at) + middle;
            y[1][j] = *(const vec *)(from + (6 + j) * apart + at) + middle;
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) {
                long pixel = i * row + j * column + at;
                vec value = y[i][j] + y[i][j + 1];
                if (ready) value += *(const vec *)(ready + at);
                *(vec *)(to + pixel) = ended(end, value, like + pixel);
            }
    }
}

/* a 2x2 convolution to a square of `side` pixels of `width` channels, `row` and `column` floats apart */
INLINE void convolve(const int end, const float *from, cells in, long side, const float *w, const float *ready,
                     float *to, const float *like, long row, long column, long width, float *room) {
    long tiles = side / 2, depth = in.parts * in.length / PER, apart = MR * depth + GAP, given = MR * width + GAP;
    float *found = room + 9 * apart;
    for (long t = 0; t < tiles * tiles; t += MR) {
        for (int m = 0; m < MR; m++) {
            const float *cell = from + place(t + m, tiles, 2 * in.row, 2 * in.column);
            for (long p = 0; p < in.parts; p++)
                for (long q = 0; q < in.length; q += VW) {
                    vec all[9];
                    combined(cell + p * in.part + q, in, all);
                    for (int e = 0; e < 9; e++) put(room + e * apart + m * depth, p * in.length + q, all[e]);
                }
        }
        for (long e = 0; e < 9; e++) {
            const float *a[MR];
            float *out[MR];
            for (int m = 0; m < MR; m++) a[m] = room + e * apart + m * depth, out[m] = found + e * given + m * width;
            products(1, PLAIN, a, 1, 0, depth, w + e * depth * width, NULL, out, a, width);
        }
        for (int m = 0; m < MR; m++) {
            long pixel = place(t + m, tiles, 2 * row, 2 * column);
            separate(end, found + m * width, given, ready, to + pixel, like + pixel, row, column, width);
        }
    }
}

/* adds to [9][cell][width], in combinations, the sum over pixels of what their taps saw times their blame */
static void correlate(const float *from, cells in, long side, const float *blame, long row, long column, long width,
                      float *sums, float *room) {
    long tiles = side / 2, depth = in.parts * in.length, block = tiles * tiles < BLOCK ? tiles * tiles : BLOCK;
    long apart = block * depth + GAP, blamed = block * width + GAP;
    float *rights = room + 9 * apart;
    for (long t = 0; t < tiles * tiles; t += block) {
        for (long m = 0; m < block; m += PER) {
            const float *cell[PER], *pixel[PER];
            vec all[2][9];
            for (int one = 0; one < PER; one++) {
                cell[one] = from + place(t + m + one, tiles, 2 * in.row, 2 * in.column);
                pixel[one] = blame + place(t + m + one, tiles, 2 * row, 2 * column);
            }
            for (long p = 0; p < in.parts; p++)
                for (long q = 0; q < in.length; q += VW) {
                    for (int one = 0; one < PER; one++) combined(cell[one] + p * in.part + q, in, all[one]);
                    float *to = room + m / PER * depth + p * in.length + q;
                    for (int e = 0; e < 9; e++) *(vec *)(to + e * apart) = join(all[0][e], all[PER - 1][e]);
                }
            for (long at = 0; at < width; at += VW) {
                for (int one = 0; one < PER; one++) spread_out(pixel[one] + at, row, column, all[one]);
                float *to = rights + m / PER * width + at;
                for (int e = 0; e < 9; e++) *(vec *)(to + e * blamed) = join(all[0][e], all[PER - 1][e]);
            }
        }
        for (long e = 0; e < 9; e++)
            for (long first = 0; first < depth; first += MR) {
                const float *left = room + e * apart + first, *right = rights + e * blamed;
                float *to = sums + (e * depth + first) * width;
                long at = 0;
                for (; at + NR <= width; at += NR)
                    outer(NV, 1, left, depth, right + at, width, block / PER, to + at, width);
                for (; at < width; at += VW) outer(1, 1, left, depth, right + at, width, block / PER, to + at, width);
            }
    }
}
