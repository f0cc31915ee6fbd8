/*
 * AVX2 and FMA kernels as video coders and numeric libraries have them: avx2 KERNEL ROUNDS prints a checksum. Everything works on a few
 * tens of kilobytes, so that the processor and not memory is measured. Compiled with -O3 -mavx2 -mfma; the vector code is written out.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;
static uint32_t next(void) { return (uint32_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33); }

static float total(__m256 v)
{
    float f[8], s = 0;

    _mm256_storeu_ps(f, v);
    for (int i = 0; i < 8; i++)
        s += f[i];
    return s;
}

/* c += a * b, 96 x 96 floats, six rows by sixteen columns at a time. */
enum { M = 96 };
static float ma[M * M], mb[M * M], mc[M * M];

static void block_6x16(const float *a, const float *b, float *c)
{
    __m256 low[6], high[6];

#pragma GCC unroll 6
    for (int r = 0; r < 6; r++)
        low[r] = _mm256_loadu_ps(c + r * M), high[r] = _mm256_loadu_ps(c + r * M + 8);
    for (int k = 0; k < M; k++) {
        __m256 b0 = _mm256_loadu_ps(b + k * M), b1 = _mm256_loadu_ps(b + k * M + 8);
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++) {
            __m256 x = _mm256_broadcast_ss(a + r * M + k);
            low[r] = _mm256_fmadd_ps(x, b0, low[r]);
            high[r] = _mm256_fmadd_ps(x, b1, high[r]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < 6; r++) {
        _mm256_storeu_ps(c + r * M, low[r]);
        _mm256_storeu_ps(c + r * M + 8, high[r]);
    }
}

static double gemm(long rounds)
{
    double sum = 0;

    for (int i = 0; i < M * M; i++)
        ma[i] = (next() & 255) / 256.f, mb[i] = (next() & 255) / 256.f;
    while (rounds--) {
        memset(mc, 0, sizeof mc);
        for (int i = 0; i < M; i += 6)
            for (int j = 0; j < M; j += 16)
                block_6x16(ma + i * M, mb + j, mc + i * M + j);
        sum += mc[rounds % (M * M)];
    }
    return sum;
}

/* Motion search: sum of absolute differences of 16 x 16 pixels at each of 16 x 16 places. */
static uint8_t now[64 * 64] __attribute__((aligned(4096))), before[64 * 64] __attribute__((aligned(4096)));

static double sad(long rounds)
{
    long sum = 0;

    for (int i = 0; i < 64 * 64; i++)
        now[i] = (uint8_t)next(), before[i] = (uint8_t)next();
    while (rounds--) {
        unsigned best = ~0u;
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++) {
                const uint8_t *a = now + 16 * 64 + 16, *b = before + y * 64 + x;
                __m256i s = _mm256_setzero_si256();
#pragma GCC unroll 8
                for (int r = 0; r < 16; r += 2) {
                    __m256i p = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)(a + r * 64))),
                                                        _mm_loadu_si128((const void *)(a + r * 64 + 64)), 1);
                    __m256i q = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)(b + r * 64))),
                                                        _mm_loadu_si128((const void *)(b + r * 64 + 64)), 1);
                    s = _mm256_add_epi64(s, _mm256_sad_epu8(p, q));
                }
                __m128i t = _mm_add_epi64(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
                unsigned v = (unsigned)(_mm_extract_epi32(t, 0) + _mm_extract_epi32(t, 2));
                best = v < best ? v : best;
            }
        sum += best;
        now[rounds & 4095]++;
    }
    return (double)sum;
}

/* Six-tap interpolation of 16-bit pixels, rounded and packed to bytes. */
static int16_t line[4096 + 32];
static uint8_t packed[4096];

static inline __m256i six_taps(const int16_t *p)
{
    const __m256i c20 = _mm256_set1_epi16(20), c5 = _mm256_set1_epi16(5), round = _mm256_set1_epi16(16);
    __m256i t[6];

#pragma GCC unroll 6
    for (int k = 0; k < 6; k++)
        t[k] = _mm256_loadu_si256((const void *)(p + k));
    __m256i mid = _mm256_mullo_epi16(_mm256_add_epi16(t[2], t[3]), c20);
    __m256i near = _mm256_mullo_epi16(_mm256_add_epi16(t[1], t[4]), c5);
    __m256i far = _mm256_add_epi16(t[0], t[5]);
    return _mm256_srai_epi16(_mm256_add_epi16(_mm256_sub_epi16(_mm256_add_epi16(mid, far), near), round), 5);
}

static double filter(long rounds)
{
    long sum = 0;

    for (int i = 0; i < 4096 + 32; i++)
        line[i] = (int16_t)(next() & 255);
    while (rounds--) {
        for (int i = 0; i < 4096; i += 32) {
            __m256i b = _mm256_packus_epi16(six_taps(line + i), six_taps(line + i + 16));
            _mm256_storeu_si256((__m256i *)(packed + i), _mm256_permute4x64_epi64(b, 0xd8));
        }
        sum += packed[rounds & 4095];
        line[rounds & 4095] ^= 1;
    }
    return (double)sum;
}

/* Forward and inverse 8 x 8 transforms of 16-bit coefficients, a row of two blocks a register (as video coders do). */
static int16_t blocks[64][16];

static inline void butterfly(__m256i *x)
{
    __m256i s0 = _mm256_add_epi16(x[0], x[7]), s1 = _mm256_add_epi16(x[1], x[6]), s2 = _mm256_add_epi16(x[2], x[5]);
    __m256i s3 = _mm256_add_epi16(x[3], x[4]), d0 = _mm256_sub_epi16(x[0], x[7]), d1 = _mm256_sub_epi16(x[1], x[6]);
    __m256i d2 = _mm256_sub_epi16(x[2], x[5]), d3 = _mm256_sub_epi16(x[3], x[4]);
    __m256i e0 = _mm256_add_epi16(s0, s3), e1 = _mm256_add_epi16(s1, s2), f0 = _mm256_sub_epi16(s0, s3), f1 = _mm256_sub_epi16(s1, s2);
    __m256i a4 = _mm256_add_epi16(_mm256_add_epi16(d1, d2), _mm256_add_epi16(d0, _mm256_srai_epi16(d0, 1)));
    __m256i a5 = _mm256_sub_epi16(_mm256_sub_epi16(d0, d3), _mm256_add_epi16(d2, _mm256_srai_epi16(d2, 1)));
    __m256i a6 = _mm256_sub_epi16(_mm256_add_epi16(d0, d3), _mm256_add_epi16(d1, _mm256_srai_epi16(d1, 1)));
    __m256i a7 = _mm256_add_epi16(_mm256_sub_epi16(d1, d2), _mm256_add_epi16(d3, _mm256_srai_epi16(d3, 1)));

    x[0] = _mm256_add_epi16(e0, e1);
    x[1] = _mm256_add_epi16(a4, _mm256_srai_epi16(a7, 2));
    x[2] = _mm256_add_epi16(f0, _mm256_srai_epi16(f1, 1));
    x[3] = _mm256_add_epi16(a5, _mm256_srai_epi16(a6, 2));
    x[4] = _mm256_sub_epi16(e0, e1);
    x[5] = _mm256_sub_epi16(a6, _mm256_srai_epi16(a5, 2));
    x[6] = _mm256_sub_epi16(_mm256_srai_epi16(f0, 1), f1);
    x[7] = _mm256_sub_epi16(_mm256_srai_epi16(a4, 2), a7);
}

static inline void transpose(__m256i *x)
{
    __m256i t[8], u[8];

#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        t[2 * k] = _mm256_unpacklo_epi16(x[2 * k], x[2 * k + 1]);
        t[2 * k + 1] = _mm256_unpackhi_epi16(x[2 * k], x[2 * k + 1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        u[4 * k] = _mm256_unpacklo_epi32(t[4 * k], t[4 * k + 2]);
        u[4 * k + 1] = _mm256_unpackhi_epi32(t[4 * k], t[4 * k + 2]);
        u[4 * k + 2] = _mm256_unpacklo_epi32(t[4 * k + 1], t[4 * k + 3]);
        u[4 * k + 3] = _mm256_unpackhi_epi32(t[4 * k + 1], t[4 * k + 3]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        x[2 * k] = _mm256_unpacklo_epi64(u[k], u[k + 4]);
        x[2 * k + 1] = _mm256_unpackhi_epi64(u[k], u[k + 4]);
    }
}

static double dct(long rounds)
{
    long sum = 0;

    for (int i = 0; i < 64 * 16; i++)
        blocks[i / 16][i % 16] = (int16_t)(next() % 511 - 255);
    while (rounds--) {
        for (int b = 0; b < 64; b += 8) {
            __m256i x[8];
#pragma GCC unroll 8
            for (int k = 0; k < 8; k++)
                x[k] = _mm256_loadu_si256((const void *)blocks[b + k]);
            butterfly(x);
            transpose(x);
            butterfly(x);
#pragma GCC unroll 8
            for (int k = 0; k < 8; k++)
                _mm256_storeu_si256((__m256i *)blocks[b + k], _mm256_srai_epi16(x[k], 3));
        }
        sum += blocks[rounds & 63][rounds & 15];
        blocks[rounds & 63][rounds & 15] = (int16_t)(rounds % 511 - 255);
    }
    return (double)sum;
}

/* exp() of an array by range reduction and a polynomial. */
static float in[4096], out[4096];

static double vexp(long rounds)
{
    double sum = 0;

    for (int i = 0; i < 4096; i++)
        in[i] = (float)(next() & 4095) / 256.f - 8.f;
    while (rounds--) {
        for (int i = 0; i < 4096; i += 8) {
            __m256 x = _mm256_loadu_ps(in + i);
            __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752f), x);
            r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6f), r);
            __m256 p = _mm256_set1_ps(1.9875691e-4f);
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999e-3f));
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519e-3f));
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665796e-2f));
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665e-1f));
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
            p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, _mm256_add_ps(r, _mm256_set1_ps(1.f)));
            __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
            _mm256_storeu_ps(out + i, _mm256_mul_ps(p, _mm256_castsi256_ps(e)));
        }
        sum += out[rounds & 4095];
        in[rounds & 4095] += 0.001f;
    }
    return sum;
}

/* Mandelbrot's set, four doubles at a time: registers only. */
static double mandel(long rounds)
{
    long sum = 0;

    for (long r = 0; r < rounds; r++) {
        __m256d cx = _mm256_setr_pd(-1.5 + 0.001 * (r % 997), -1.0, -0.5, 0.2), cy = _mm256_set1_pd(0.001 * (r % 1009));
        __m256d x = _mm256_setzero_pd(), y = x;
        __m256i count = _mm256_setzero_si256();
        for (int k = 0; k < 256; k++) {
            __m256d xx = _mm256_mul_pd(x, x), yy = _mm256_mul_pd(y, y);
            __m256d in_set = _mm256_cmp_pd(_mm256_add_pd(xx, yy), _mm256_set1_pd(4.0), _CMP_LT_OQ);
            if (!_mm256_movemask_pd(in_set))
                break;
            count = _mm256_sub_epi64(count, _mm256_castpd_si256(in_set));
            y = _mm256_fmadd_pd(_mm256_add_pd(x, x), y, cy);
            x = _mm256_add_pd(_mm256_sub_pd(xx, yy), cx);
        }
        sum += _mm256_extract_epi64(count, 0) + _mm256_extract_epi64(count, 3);
    }
    return (double)sum;
}

/* Dot product, sum and scaled sum of arrays. */
static float va[4096], vb[4096];

static double dot(long rounds)
{
    double sum = 0;

    for (int i = 0; i < 4096; i++)
        va[i] = (next() & 255) / 256.f, vb[i] = (next() & 255) / 256.f;
    while (rounds--) {
        __m256 s[4] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps() };
        for (int i = 0; i < 4096; i += 32)
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                s[k] = _mm256_fmadd_ps(_mm256_loadu_ps(va + i + 8 * k), _mm256_loadu_ps(vb + i + 8 * k), s[k]);
        sum += total(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
        const __m256 f = _mm256_set1_ps(1e-6f);
        for (int i = 0; i < 4096; i += 16)
#pragma GCC unroll 2
            for (int k = 0; k < 2; k++)
                _mm256_storeu_ps(va + i + 8 * k, _mm256_fmadd_ps(f, _mm256_loadu_ps(vb + i + 8 * k), _mm256_loadu_ps(va + i + 8 * k)));
    }
    return sum;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; double (*run)(long rounds); } kernels[] = {
        { "gemm", gemm }, { "sad", sad }, { "filter", filter }, { "dct", dct }, { "exp", vexp }, { "mandel", mandel }, { "dot", dot },
    };

    for (unsigned i = 0; argc == 3 && i < sizeof kernels / sizeof kernels[0]; i++)
        if (!strcmp(argv[1], kernels[i].name)) {
            printf("%s %.6f\n", argv[1], kernels[i].run(atol(argv[2])));
            return 0;
        }
    fprintf(stderr, "usage: avx2 gemm|sad|filter|dct|exp|mandel|dot ROUNDS\n");
    return 2;
}
