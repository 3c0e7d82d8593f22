/* Between PyTorch's layouts and ours: images [channel][row][column], weights [small][big][4][4]. */

#include "layers.h"

static void from_planes(const float *x, long side, long c, float *image) {
    for (long k = 0; k < c; k++)
        for (long i = 0; i < side; i++) {
            float *row = image + ((i + 1) * (side + 2) + 1) * c + k;
            for (long j = 0; j < side; j++) row[j * c] = *x++;
        }
}

static void to_planes(const float *image, long side, long c, float *x) {
    for (long k = 0; k < c; k++)
        for (long i = 0; i < side; i++) {
            const float *row = image + ((i + 1) * (side + 2) + 1) * c + k;
            for (long j = 0; j < side; j++) *x++ = row[j * c];
        }
}

static void with_border(const float *kept, long side, long c, float *image) {
    for (long i = 0; i < side; i++)
        memcpy(image + ((i + 1) * (side + 2) + 1) * c, kept + i * side * c, side * c * sizeof(float));
}

static void without_border(const float *image, long side, long c, float *kept) {
    for (long i = 0; i < side; i++)
        memcpy(kept + i * side * c, image + ((i + 1) * (side + 2) + 1) * c, side * c * sizeof(float));
}

static void fill(float *image, long side, long c, const float *value) {
    for (long t = 0; t < (side + 2) * (side + 2); t++)
        for (long k = 0; k < c; k++) image[t * c + k] = value ? value[k] : 0;
}

/* the 16 taps of n vectors of weights, `apart` floats between one weight and the next */
INLINE void taps_of(const int n, const float *w, long apart, vec taps[16][NV]) {
    float turned[16][NR];
    for (int v = 0; v < n * VW; v++)
        for (int tap = 0; tap < 16; tap++) turned[tap][v] = w[v * apart + tap];
    for (int tap = 0; tap < 16; tap++)
        for (int v = 0; v < n; v++) taps[tap][v] = *(const vec *)(turned[tap] + v * VW);
}

/* 2x2 taps out of 16, from `first` on, to nine combinations, `apart` floats between them */
INLINE void nine(const int n, vec taps[PER][16][NV], long first, long row, long column, float *to, long apart) {
    for (int v = 0; v < n; v++, to += VW) {
        vec all[PER][9];
        for (int one = 0; one < PER; one++) {
            vec a = taps[one][first][v], b = taps[one][first + column][v];
            vec c = taps[one][first + row][v], d = taps[one][first + row + column][v];
            vec these[9] = {a, a + b, b, a + c, (a + b) + (c + d), b + d, c, c + d, d};
            memcpy(all[one], these, sizeof these);
        }
        for (int e = 0; e < 9; e++) *(vec *)(to + e * apart) = join(all[0][e], all[PER - 1][e]);
    }
}

INLINE void keep(const int n, const vec *from, float *to) {
    for (int v = 0; v < n; v++) *(vec *)(to + v * VW) = from[v];
}

/* weights for `down`: panels of n vectors of small channels, [4][4][big] long, or [2][2][big] for each combination */
INLINE float *pack_down_panel(const int n, const float *w, long b, long s, float *to) {
    vec taps[PER][16][NV];
    for (long c = 0; c < b; c++) {
        taps_of(n, w + c * 16, b * 16, taps[0]);
        for (long tap = 0; tap < 16; tap++) keep(n, taps[0][tap], to + (tap * b + c) * n * VW);
    }
    (void)s;
    return to + 16 * b * n * VW;
}

INLINE float *pack_down_cells(const int n, const float *w, long b, long s, float *to) {
    vec taps[PER][16][NV];
    for (long c = 0; c < b; c += PER) {
        for (int one = 0; one < PER; one++) taps_of(n, w + (c + one) * 16, b * 16, taps[one]);
        for (long pixel = 0; pixel < 4; pixel++)
            nine(n, taps, 4 * (pixel / 2) + pixel % 2, 8, 2, to + (pixel * b + c) / PER * n * VW, 4 * b * s / PER);
    }
    return to + 4 * b * n * VW / PER;
}

/* weights for `up`: for each parity panels of n vectors of big channels, [2][2][small] long, or [small] for each
   combination; the taps are 3 - parity, then 1 - parity */
INLINE float *pack_up_panel(const int n, const float *w, long b, long s, float *to) {
    vec taps[PER][16][NV];
    for (long c = 0; c < s; c++) {
        taps_of(n, w + c * b * 16, 16, taps[0]);
        for (long parity = 0; parity < 4; parity++)
            for (long which = 0; which < 4; which++) {
                long tap = 4 * (3 - parity / 2 - 2 * (which / 2)) + 3 - parity % 2 - 2 * (which % 2);
                keep(n, taps[0][tap], to + parity * 4 * s * b + (which * s + c) * n * VW);
            }
    }
    return to + 4 * s * n * VW;
}

INLINE float *pack_up_cells(const int n, const float *w, long b, long s, float *to) {
    vec taps[PER][16][NV];
    for (long c = 0; c < s; c += PER) {
        for (int one = 0; one < PER; one++) taps_of(n, w + (c + one) * b * 16, 16, taps[one]);
        for (long parity = 0; parity < 4; parity++) {
            long first = 4 * (3 - parity / 2) + 3 - parity % 2;
            nine(n, taps, first, -8, -2, to + (parity * 9 * s * b + c * n * VW) / PER, s * b / PER);
        }
    }
    return to + s * n * VW / PER;
}

/* all panels: of NV vectors, then of one; `step` floats of weights from one channel of the panel to the next */
#define PANELS(pack, channels, step)                                                                \
    do {                                                                                            \
        long at = 0;                                                                                \
        for (; at + NR <= (channels); at += NR) to = pack(NV, w + at * (step), b, s, to);           \
        for (; at < (channels); at += VW) to = pack(1, w + at * (step), b, s, to);                  \
    } while (0)

static void pack_down(const float *w, long b, long s, int fast, float *to) {
    if (fast)
        PANELS(pack_down_cells, s, b * 16);
    else
        PANELS(pack_down_panel, s, b * 16);
}

static void pack_up(const float *w, long b, long s, int fast, float *to) {
    if (fast)
        PANELS(pack_up_cells, b, 16);
    else
        PANELS(pack_up_panel, b, 16);
}

/* weights for `spread`: [small] long panels of taps, in the order row, column, channel */
static void pack_spread(const float *w, long b, long s, float *to) {
    for (long at = 0, n; at < 16 * b; at += n) {
        n = at + NR <= 16 * b ? NR : VW;
        for (long c = 0; c < s; c++)
            for (long v = 0; v < n; v++) *to++ = w[(c * b + (at + v) % b) * 16 + (at + v) / b];
    }
}
