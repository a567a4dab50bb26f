/*
 * Bits, bytes, alignment and endianness. All inline, none allocates or fails.
 *
 *     unsigned reg = bits_get(modrm, 3, 3);
 *     cr0 = bits_put(cr0, 16, 1, wp);
 *     st32_be(desc + 4, lba);                 // any alignment
 *     Rtc *rtc = container_of(dev, Rtc, dev);
 */
#ifndef UTIL_BITS_H
#define UTIL_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Elements of an array; a pointer does not compile. */
#define ARRAY_SIZE(a)                                                                             \
    (sizeof(a) / sizeof((a)[0]) +                                                                 \
     0 * sizeof(struct { int not_array : 1 - 2 * __builtin_types_compatible_p(typeof(a), typeof(&(a)[0])); }))

/* The struct that `member` at ptr is embedded in. ptr must have the member's type. */
#define container_of(ptr, type, member)                                                           \
    ({                                                                                            \
        const typeof(((type *)0)->member) *container_of_ptr_ = (ptr);                             \
        (type *)((char *)(uintptr_t)container_of_ptr_ - offsetof(type, member));                  \
    })

/* Evaluate each argument once; arguments of different types do not compile. */
#define MINMAX_(a, b, op)                                                                         \
    ({                                                                                            \
        typeof(a) minmax_a_ = (a);                                                                \
        typeof(b) minmax_b_ = (b);                                                                \
        _Static_assert(__builtin_types_compatible_p(typeof(minmax_a_), typeof(minmax_b_)),        \
                       "types differ");                                                           \
        minmax_a_ op minmax_b_ ? minmax_a_ : minmax_b_;                                           \
    })
#define min_of(a, b) MINMAX_(a, b, <)
#define max_of(a, b) MINMAX_(a, b, >)

/* ---- Fields ---- */

/* A mask of the low `len` bits, 0 <= len <= 64. */
static inline uint64_t bits_mask(unsigned len)
{
    return len >= 64 ? UINT64_MAX : ((uint64_t)1 << len) - 1;
}

/* Bits [pos, pos + len) of v; pos < 64, len 1..64. */
static inline uint64_t bits_get(uint64_t v, unsigned pos, unsigned len)
{
    return (v >> pos) & bits_mask(len);
}

/* v with bits [pos, pos + len) replaced by the low bits of field. */
static inline uint64_t bits_put(uint64_t v, unsigned pos, unsigned len, uint64_t field)
{
    uint64_t mask = bits_mask(len) << pos;

    return (v & ~mask) | ((field << pos) & mask);
}

/* The low `len` bits of v as a signed number; len 1..64. */
static inline int64_t bits_sext(uint64_t v, unsigned len)
{
    return (int64_t)(v << (64 - len)) >> (64 - len);
}

/* Zero bits above the highest set bit; all of them for 0. */
static inline unsigned clz32(uint32_t v)
{
    return v ? (unsigned)__builtin_clz(v) : 32;
}

static inline unsigned clz64(uint64_t v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

/* Zero bits below the lowest set bit; all of them for 0. */
static inline unsigned ctz32(uint32_t v)
{
    return v ? (unsigned)__builtin_ctz(v) : 32;
}

static inline unsigned ctz64(uint64_t v)
{
    return v ? (unsigned)__builtin_ctzll(v) : 64;
}

static inline unsigned popcount64(uint64_t v)
{
    return (unsigned)__builtin_popcountll(v);
}

static inline uint32_t rol32(uint32_t v, unsigned n)
{
    return (v << (n & 31)) | (v >> (-n & 31));
}

static inline uint64_t rol64(uint64_t v, unsigned n)
{
    return (v << (n & 63)) | (v >> (-n & 63));
}

/* ---- Alignment ---- */

static inline bool is_pow2(uint64_t v)
{
    return v && !(v & (v - 1));
}

/* The smallest power of two that is >= v; 1 for 0; 0 when there is none in 64 bits. */
static inline uint64_t pow2_ceil(uint64_t v)
{
    if (v <= 1) {
        return 1;
    }
    return v > (uint64_t)1 << 63 ? 0 : (uint64_t)1 << (64 - clz64(v - 1));
}

/* The largest power of two that is <= v; 0 for 0. */
static inline uint64_t pow2_floor(uint64_t v)
{
    return v ? (uint64_t)1 << (63 - clz64(v)) : 0;
}

/* To a multiple of align, a power of two. round_up wraps to 0 past the top. */
static inline uint64_t round_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

static inline uint64_t round_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uint64_t v, uint64_t align)
{
    return !(v & (align - 1));
}

/* n / d rounded up; d not 0. Does not overflow. */
static inline uint64_t div_round_up(uint64_t n, uint64_t d)
{
    return n / d + (n % d != 0);
}

/* True iff [start, start + len) lies within [0, limit); no sum overflows. For checking guest input. */
static inline bool range_within(uint64_t start, uint64_t len, uint64_t limit)
{
    return start <= limit && len <= limit - start;
}

/* ---- Bytes: ldN_le, ldN_be, stN_le, stN_be for N = 16, 32, 64, at any alignment ---- */

static inline uint16_t bswap16(uint16_t v)
{
    return __builtin_bswap16(v);
}

static inline uint32_t bswap32(uint32_t v)
{
    return __builtin_bswap32(v);
}

static inline uint64_t bswap64(uint64_t v)
{
    return __builtin_bswap64(v);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BITS_TO_LE_(n, v) (v)
#define BITS_TO_BE_(n, v) bswap##n(v)
#else
#define BITS_TO_LE_(n, v) bswap##n(v)
#define BITS_TO_BE_(n, v) (v)
#endif

#define BITS_ACCESSORS_(n)                                                                        \
    static inline uint##n##_t ld##n##_le(const void *p)                                           \
    {                                                                                             \
        uint##n##_t v;                                                                            \
        memcpy(&v, p, sizeof(v));                                                                 \
        return BITS_TO_LE_(n, v);                                                                 \
    }                                                                                             \
    static inline uint##n##_t ld##n##_be(const void *p)                                           \
    {                                                                                             \
        uint##n##_t v;                                                                            \
        memcpy(&v, p, sizeof(v));                                                                 \
        return BITS_TO_BE_(n, v);                                                                 \
    }                                                                                             \
    static inline void st##n##_le(void *p, uint##n##_t v)                                         \
    {                                                                                             \
        v = BITS_TO_LE_(n, v);                                                                    \
        memcpy(p, &v, sizeof(v));                                                                 \
    }                                                                                             \
    static inline void st##n##_be(void *p, uint##n##_t v)                                         \
    {                                                                                             \
        v = BITS_TO_BE_(n, v);                                                                    \
        memcpy(p, &v, sizeof(v));                                                                 \
    }

BITS_ACCESSORS_(16)
BITS_ACCESSORS_(32)
BITS_ACCESSORS_(64)

/* size bytes (1..8) at p as a number. For accesses whose width is data. */
static inline uint64_t ld_le(const void *p, unsigned size)
{
    const uint8_t *b = p;
    uint64_t v = 0;

    assert(size <= 8);
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)b[i] << (8 * i);
    }
    return v;
}

/* Stores the low size bytes (1..8) of v at p. */
static inline void st_le(void *p, unsigned size, uint64_t v)
{
    uint8_t *b = p;

    assert(size <= 8);
    for (unsigned i = 0; i < size; i++) {
        b[i] = (uint8_t)(v >> (8 * i));
    }
}

#endif
