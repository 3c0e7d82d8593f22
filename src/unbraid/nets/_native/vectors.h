/* Vectors of 32-bit lanes, and the tile of a matrix product that stays in registers.

   A lane is a float32, or with HALF defined, in the products of cells.h alone, two neighbouring bfloat16 numbers whose
   products are added up in float32. */

#include <stddef.h>
#include <string.h>

#if defined(HALF)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { VW = 16, NV = 2, MR = 8 };
#elif defined(__AVX__)
enum { VW = 8, NV = 2, MR = 4 };
#else
enum { VW = 4, NV = 4, MR = 4 };
#endif
enum { NR = VW * NV };

typedef float vec __attribute__((vector_size(VW * sizeof(float)), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(VW * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

#if defined(HALF)
enum { PER = 2 }; /* numbers a lane */
typedef unsigned lanes __attribute__((vector_size(VW * sizeof(float))));

/* VW numbers from number `at` on */
INLINE void put(float *to, long at, vec x) {
    _mm256_storeu_si256((void *)((unsigned short *)to + at), (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
INLINE lanes rounded(vec x) { return ((lanes)x + 0x7fff + (((lanes)x >> 16) & 1)) & 0xffff0000; }
INLINE vec join(vec even, vec odd) { return (vec)((rounded(even) >> 16) | rounded(odd)); }
INLINE vec dot(const int cells, vec sum, vec right, float left) {
    if (!cells) return sum + right * left;
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)right, (__m512bh)_mm512_set1_ps(left));
}
#else
enum { PER = 1 };
INLINE void put(float *to, long at, vec x) { *(vec *)(to + at) = x; }
INLINE vec join(vec even, vec odd) {
    (void)odd;
    return even;
}
INLINE vec dot(const int cells, vec sum, vec right, float left) {
    (void)cells;
    return sum + right * left;
}
#endif

/* adds to MR rows times n vectors; `cells` says that lanes are those of cells.h */
INLINE void multiply(const int n, const int cells, const float *const *a, long runs, long jump, long length,
                     const float *w, vec acc[MR][NV]) {
    for (long r = 0; r < runs; r++)
        for (long k = 0; k < length; k++, w += n * VW) {
            vec right[NV];
            for (int v = 0; v < n; v++) right[v] = *(const vec *)(w + v * VW);
            for (int m = 0; m < MR; m++) {
                float left = a[m][r * jump + k];
                for (int v = 0; v < n; v++) acc[m][v] = dot(cells, acc[m][v], right[v], left);
            }
        }
}

enum { PLAIN, RELU, MASKED }; /* what is done with a sum; MASKED: 0 where the activation `like` is 0 */

/* NaN stays NaN, so that a run that has diverged is seen to */
INLINE vec ended(const int end, vec value, const float *like) {
    if (end == RELU) return (vec)((mask)value & ~(value <= 0));
    if (end == MASKED) return (vec)((mask)value & ~(*(const vec *)like <= 0));
    return value;
}

/* MR rows `to` of n vectors from `at` on; `ready`: start of the sums (bias) or NULL */
INLINE void product(const int n, const int cells, const int end, const float *const *a, long runs, long jump,
                    long length, const float *w, const float *ready, float *const *to, const float *const *like,
                    long at) {
    vec acc[MR][NV];
    for (int m = 0; m < MR; m++)
        for (int v = 0; v < n; v++) acc[m][v] = ready ? *(const vec *)(ready + at + v * VW) : (vec){0};
    multiply(n, cells, a, runs, jump, length, w, acc);
    for (int m = 0; m < MR; m++)
        for (int v = 0; v < n; v++)
            *(vec *)(to[m] + at + v * VW) = ended(end, acc[m][v], like[m] + at + v * VW);
}

/* the same for all `width` channels: panels of NR, then of VW */
INLINE void products(const int cells, const int end, const float *const *a, long runs, long jump, long length,
                     const float *w, const float *ready, float *const *to, const float *const *like, long width) {
    long at = 0;
    for (; at + NR <= width; at += NR, w += NR * runs * length)
        product(NV, cells, end, a, runs, jump, length, w, ready, to, like, at);
    for (; at < width; at += VW, w += VW * runs * length)
        product(1, cells, end, a, runs, jump, length, w, ready, to, like, at);
}

/* adds to [MR][n vectors], rows `width` apart, the sum over `count` rows of MR lanes times n vectors */
INLINE void outer(const int n, const int cells, const float *left, long left_row, const float *right, long right_row,
                  long count, float *to, long width) {
    vec acc[MR][NV];
    for (int m = 0; m < MR; m++)
        for (int v = 0; v < n; v++) acc[m][v] = *(const vec *)(to + m * width + v * VW);
    for (long t = 0; t < count; t++, left += left_row, right += right_row) {
        vec r[NV];
        for (int v = 0; v < n; v++) r[v] = *(const vec *)(right + v * VW);
        for (int m = 0; m < MR; m++)
            for (int v = 0; v < n; v++) acc[m][v] = dot(cells, acc[m][v], r[v], left[m]);
    }
    for (int m = 0; m < MR; m++)
        for (int v = 0; v < n; v++) *(vec *)(to + m * width + v * VW) = acc[m][v];
}

/* where item `t` of a square of `side` is, rows and columns that far apart */
INLINE long place(long t, long side, long row, long column) { return (t / side) * row + (t % side) * column; }
