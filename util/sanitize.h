/* Which sanitizer this is compiled for: gcc defines macros, clang answers __has_feature. */
#ifndef UTIL_SANITIZE_H
#define UTIL_SANITIZE_H

#ifdef __has_feature
#define SANITIZE_FEATURE_(x) __has_feature(x)
#else
#define SANITIZE_FEATURE_(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZE_FEATURE_(address_sanitizer)
#define BUILT_WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) || SANITIZE_FEATURE_(thread_sanitizer)
#define BUILT_WITH_TSAN 1
#endif

#endif
